# shellcheck shell=sh disable=SC2154 # sourced by scripts/cluster
# The parts: how each is started, how one sees that it is healthy, how it is ended.

parts='etcd containerd apiserver controller-manager scheduler kubelet proxy'
# An API server is ready in 5-8 s on two cores; 120 s is for a machine that compiles beside it.
healthy_within=120

known() { case " $parts " in *" $1 "*) ;; *) die "cluster: no part is called '$1' (parts: $parts)" ;; esac; }
alive() { process "$run/$1.pid" >/dev/null; }

# launch NAME COMMAND...: in the node, in a session of its own, so that neither the end of this shell
# nor a Ctrl-C in its terminal reaches it. The pid file holds the host's id.
launch() {
  part=$1
  shift
  echo "== $(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$logs/$part.log"
  # shellcheck disable=SC2016 # the inner shell's words
  enter sh -c 'log=$1 pidfile=$2; shift 2; setsid "$@" </dev/null >>"$log" 2>&1 & echo $! >"$pidfile"' \
    sh "$logs/$part.log" "$run/$part.pid" "$@" 9>&-
}

part_command() {
  case $1 in
    # --unsafe-no-fsync: the data is thrown away with the cluster
    etcd) launch etcd etcd --name node --data-dir "$run/etcd" --unsafe-no-fsync --logger zap --log-level warn \
      --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
      --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
      --initial-cluster node=http://127.0.0.1:2380 ;;
    containerd) launch containerd containerd --config "$run/containerd.toml" --log-level warn ;;
    # InternalIP: nothing resolves the node's name, and exec would fail on it
    apiserver) launch apiserver "$built/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
      --advertise-address="$node_address" --secure-port=6443 --service-cluster-ip-range="$service_range" \
      --tls-cert-file="$run/pki/apiserver.crt" --tls-private-key-file="$run/pki/apiserver.key" --client-ca-file="$run/pki/ca.crt" \
      --kubelet-certificate-authority="$run/pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
      --kubelet-client-certificate="$run/pki/apiserver-kubelet.crt" --kubelet-client-key="$run/pki/apiserver-kubelet.key" \
      --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$run/pki/accounts.pub" \
      --service-account-signing-key-file="$run/pki/accounts.key" \
      --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
      --feature-gates=ProcMountType=true ;;
    # umask 0: the folders of claims are for pods of any user (build.sh: mend_hostpath)
    controller-manager) (umask 0 && launch controller-manager "$built/kube-controller-manager" \
      --kubeconfig="$run/controller-manager.kubeconfig" --leader-elect=false --port=0 --bind-address=127.0.0.1 \
      --use-service-account-credentials=true --service-account-private-key-file="$run/pki/accounts.key" \
      --root-ca-file="$run/pki/ca.crt" --cluster-signing-cert-file="$run/pki/ca.crt" --cluster-signing-key-file="$run/pki/ca.key" \
      --enable-hostpath-provisioner=true --node-monitor-period=2s --node-monitor-grace-period=20s \
      --kube-api-qps=200 --kube-api-burst=400) ;;
    scheduler) launch scheduler "$built/kube-scheduler" --kubeconfig="$run/scheduler.kubeconfig" --leader-elect=false \
      --port=0 --bind-address=127.0.0.1 --kube-api-qps=200 --kube-api-burst=400 ;;
    kubelet) launch kubelet "$built/kubelet" --config="$run/kubelet.yaml" --kubeconfig="$run/kubelet.kubeconfig" \
      --hostname-override="$node_name" --node-ip="$node_address" \
      --container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock ;;
    proxy) launch proxy "$built/kube-proxy" --config="$run/proxy.yaml" ;;
  esac
}

# Asked from inside the node, as all but the API server listen on its loopback only.
part_healthy() {
  case $1 in
    etcd) url=http://127.0.0.1:2379/health ;;
    containerd) in_node ctr version >/dev/null 2>&1; return ;;
    apiserver) url="$api/readyz" ;;
    controller-manager) url=https://127.0.0.1:10257/healthz ;;
    scheduler) url=https://127.0.0.1:10259/healthz ;;
    kubelet) url=http://127.0.0.1:10248/healthz ;;
    proxy) url=http://127.0.0.1:10256/healthz ;;
  esac
  enter curl -kfsS --max-time 5 -o /dev/null "$url" 2>/dev/null
}

# await PART COMMAND...: until COMMAND succeeds; ends at once when the part has ended.
await() {
  awaited=$1
  shift
  deadline=$(($(date +%s) + healthy_within))
  until "$@"; do
    alive "$awaited" || { tail -n 5 "$logs/$awaited.log" >&2; die "cluster: $awaited ended (log: $logs/$awaited.log)"; }
    [ "$(date +%s)" -lt $deadline ] || die "cluster: $awaited is not healthy within $healthy_within s (log: $logs/$awaited.log)"
    sleep 0.1
  done
}

part_begin() { alive "$1" || part_command "$1"; }
part_start() {
  known "$1"
  process "$run/anchor.pid" >/dev/null || die "the cluster does not run; run: scripts/cluster up"
  # where the binaries of the running cluster lie, whatever apt would build today
  read -r built <"$run/built"
  part_begin "$1"
  await "$1" part_healthy "$1"
}

part_kill() {
  known "$1"
  pid=$(process "$run/$1.pid") || return 0
  kill -9 "$pid"
  while alive "$1"; do sleep 0.02; done
}

part_stop() {
  known "$1"
  pid=$(process "$run/$1.pid") || return 0
  kill "$pid"
  waited=0
  # 5 s: an API server waits up to a minute for its watchers, who lose nothing when it does not.
  while alive "$1"; do
    [ $waited -lt 50 ] || { part_kill "$1"; return; }
    sleep 0.1
    waited=$((waited + 1))
  done
}

# The cluster can go on as it is, with the missing parts started: the node is there and its data is.
continues() { [ -e "$run/ready" ] && process "$run/anchor.pid" >/dev/null && alive etcd && alive containerd; }

healthy() {
  [ -e "$run/ready" ] || return 1
  for part in $parts; do alive "$part" || return 1; done
  part_healthy apiserver
}

# What a cluster was started by, to say so when that has changed since.
recipe() { cat "$pieces"/* | sha256sum; }

begin() {
  node_make
  echo "$built" >"$run/built"
  recipe >"$run/recipe"
  configure
}

kube() { kubectl --kubeconfig "$kubeconfig" --request-timeout=5s "$@" 2>/dev/null; }

# A pod could run: the node is Ready and untainted, and the account that pods run as exists.
# The kubelet's Ready comes a moment before the taint goes.
schedules() {
  [ "$(kube get node "$node_name" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}{.spec.taints}')" = True ] &&
    kube get serviceaccount default >/dev/null
}

parts_start() {
  read -r built <"$run/built"
  for part in etcd containerd; do part_begin "$part"; done
  await etcd part_healthy etcd
  part_begin apiserver
  await containerd part_healthy containerd
  load_pause
  await apiserver part_healthy apiserver
  for part in controller-manager scheduler kubelet proxy; do part_begin "$part"; done
  await apiserver first_objects_applied
  for part in controller-manager scheduler kubelet proxy; do await "$part" part_healthy "$part"; done
  await kubelet schedules
  touch "$run/ready"
}

first_objects_applied() { first_objects | kube apply -f - >/dev/null; }

status() {
  all=0
  for part in $parts; do
    if pid=$(process "$run/$part.pid"); then
      health=healthy
      part_healthy "$part" || { health='not healthy'; all=1; }
      printf '%-18s process %-7s %s\n' "$part" "$pid" "$health"
    else
      printf '%-18s does not run\n' "$part"
      all=1
    fi
  done
  return $all
}
