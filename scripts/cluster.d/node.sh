# shellcheck shell=sh disable=SC2154,SC2034 # sourced by scripts/cluster; the addresses are config.sh's too
# The node: network, mount and process namespaces in which every part of the cluster runs, and every
# pod with it.
#
#   host 10.250.0.1 ── veth ── 10.250.0.2 node ── bridge 10.251.0.1 ── pods
#
# A node of its own, and not the host itself, because then
# - kube-proxy's rules, the pods' bridge and Docker's rules (which drop what is forwarded) never meet:
#   from the host to pods nothing is forwarded, in the node there is no Docker;
# - /run, /var/lib/kubelet and /var/log/pods are the defaults that charts rely on, and yet ours;
# - `down` ends one process, and the kernel ends all others with it and drops mounts, rules and links.

link=labwire-k8s
host_address=10.250.0.1
node_address=10.250.0.2
link_bits=24
# 2,046 addresses: the 500 pods that the node takes, and as many again that have just ended.
pod_range=10.251.0.0/21
service_range=10.252.0.0/16
service_address=10.252.0.1
# What the node's programs expect at fixed places: kept in $run, and bound there inside the node only.
bound='/var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers /tmp/hostpath_pv'

# The process id in FILE, if that process is of this cluster: ids are reused, after a reboot at once.
process() { # FILE
  [ -s "$1" ] || return 1
  read -r pid <"$1"
  { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$run/" && echo "$pid"
}

# In the node's namespaces. With -F nothing is forked, so that the caller stays in the host's process
# namespace and sees the host's ids; its children are in the node's.
enter() {
  anchor=$(process "$run/anchor.pid") || die "the cluster does not run; run: scripts/cluster up"
  nsenter -F --target "$anchor" --mount --net --pid -- "$@"
}
# A process more: the child of the shell is in the process namespace, too (exit: or there is no child).
# shellcheck disable=SC2016 # the inner shell's words
in_node() { enter sh -c '"$@"; exit $?' sh "$@"; }

# cgroup folders of pods, deepest first; there is one tree for each controller, or one for all.
pod_cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name kubepods -exec find {} -depth -type d \; 2>/dev/null; }

# Processes of pods, one id a line.
pod_processes() { pod_cgroups | while read -r group; do cat "$group/cgroup.procs" 2>/dev/null || :; done; }

# Two kubelets over one cgroup tree would end each other's pods.
nothing_else_here() {
  ! ip link show "$link" >/dev/null 2>&1 || die "the link $link exists: a cluster with another LABWIRE_STATE runs; stop it there"
  if pgrep -x kubelet >/dev/null || [ -n "$(pod_processes)" ]; then
    die "another Kubernetes runs on this machine (a kubelet, or processes in kubepods cgroups); stop it, or set KUBECONFIG to it"
  fi
  # of a cluster whose end nobody saw, or whose folder is gone: nothing lives there
  remove_cgroups
  ! ip -4 -o addr show | grep -qE ' 10\.25[012]\.' || die "10.250.0.0/24, 10.251.0.0/21 or 10.252.0.0/16 is in use on this machine"
}

# What the node's first process does before it becomes the pause program. Mounts that the host makes
# or ends come through (slave), none of ours go out; inside they are shared, as a kubelet expects.
# shellcheck disable=SC2016 # the inner shell's words
first_process='
  set -e
  mount --make-rshared /
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755 tmpfs /run
  for place in $bound; do mount --bind "$run/place/$place" "$place"; done
  ip link set lo up
  exec "$run/pause" "$run/"
'

node_make() {
  nothing_else_here
  mkdir -p "$run"
  cp "$built/pause" "$run/pause"
  for place in $bound; do mkdir -p "$place" "$run/place/$place"; done
  chmod 1777 "$run/place/tmp/hostpath_pv"
  # The forked child is process 1 of the new namespace; the outer shell sees its id as the host does.
  # shellcheck disable=SC2016
  run=$run bound=$bound first=$first_process unshare --mount --net --pid --propagation slave -- \
    sh -c 'setsid sh -c "$first" </dev/null >"$run/anchor.log" 2>&1 & echo $! >"$run/anchor.pid"' 9>&-
  read -r anchor <"$run/anchor.pid"
  until [ "$(readlink "/proc/$anchor/exe")" = "$run/pause" ]; do
    [ -e "/proc/$anchor/exe" ] || { cat "$run/anchor.log" >&2; die "cluster: the node's namespaces could not be made"; }
    sleep 0.02
  done
  node_network
}

node_network() {
  ip link add "$link" type veth peer name eth0 netns "$anchor"
  ip addr add "$host_address/$link_bits" dev "$link"
  ip link set "$link" up
  # Services and pods are reached from the host as from any other machine of the network.
  ip route add "$pod_range" via "$node_address"
  ip route add "$service_range" via "$node_address"
  # No way out of the node: labs may not reach the world, and a kubelet that asks for a cloud's metadata
  # is refused at once, instead of waiting 11 s for silence (5 s and 6 s, measured).
  enter sh -ec "
    ip addr add $node_address/$link_bits dev eth0
    ip link set eth0 up
    ip route add unreachable default
    echo 1 >/proc/sys/net/ipv4/ip_forward"
  # New network namespaces take forwarding from the machine's first one, and labs rely on that where
  # /proc is masked. Docker has switched it on; without Docker it is ours to do, and to undo.
  if [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ]; then
    touch "$run/forwarding"
    echo 1 >/proc/sys/net/ipv4/ip_forward
  fi
}

# Ends and removes whatever of the cluster is left, in whatever state: after `kill -9` of any of it,
# and after a reboot, too.
node_remove() {
  [ -d "$run" ] || return 0
  # cgroup v1 ends a frozen process only when it is thawed.
  pod_cgroups | while read -r group; do [ ! -w "$group/freezer.state" ] || echo THAWED >"$group/freezer.state"; done
  if anchor=$(process "$run/anchor.pid"); then
    kill -9 "$anchor"
    waited=0
    # Its end is the end of every process in the node; 30 s, as hundreds of pods may have to go.
    while [ -e "/proc/$anchor" ]; do
      [ $waited -lt 300 ] || die "cluster: the node's processes do not end ($anchor)"
      sleep 0.1
      waited=$((waited + 1))
    done
  fi
  ip link del "$link" 2>/dev/null || :
  remove_cgroups
  [ ! -e "$run/forwarding" ] || echo 0 >/proc/sys/net/ipv4/ip_forward
  rm -rf "$run" "$kubeconfig"
  # Only folders that are empty, that is, that held nothing but our mounts.
  for place in $bound; do rmdir "$place" 2>/dev/null || :; done
}

# A cgroup is busy for a moment after its last process is gone.
remove_cgroups() {
  waited=0
  while [ -n "$(pod_cgroups)" ]; do
    pod_cgroups | xargs rmdir 2>/dev/null || :
    [ -n "$(pod_cgroups)" ] || return 0
    [ $waited -lt 100 ] || die "cluster: cgroups of pods are still busy: $(pod_cgroups | head -n 3 | tr '\n' ' ')"
    sleep 0.1
    waited=$((waited + 1))
  done
}
