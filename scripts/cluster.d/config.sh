# shellcheck shell=sh disable=SC2154 # sourced by scripts/cluster
# What the parts read: certificates, kubeconfigs, configuration files, all under $run and made anew
# by every `up` from nothing.

node_name=labwire-node
api=https://$node_address:6443

# certificate NAME SUBJECT [SAN]: $run/pki/NAME.crt and .key, signed by our authority.
certificate() {
  openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    -CA "$run/pki/ca.crt" -CAkey "$run/pki/ca.key" -subj "$2" -addext basicConstraints=critical,CA:FALSE \
    -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth,clientAuth \
    ${3:+-addext "subjectAltName=$3"} -keyout "$run/pki/$1.key" -out "$run/pki/$1.crt" 2>>"$logs/openssl.log"
}

# access NAME SUBJECT FILE: a certificate, and a kubeconfig that holds it.
access() {
  certificate "$1" "$2"
  kubeconfig_file "$1" >"$3"
}

kubeconfig_file() {
  cat <<YAML
apiVersion: v1
kind: Config
clusters:
- name: labwire
  cluster: {server: "$api", certificate-authority-data: $(base64 -w0 "$run/pki/ca.crt")}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$run/pki/$1.crt"), client-key-data: $(base64 -w0 "$run/pki/$1.key")}
contexts:
- name: labwire
  context: {cluster: labwire, user: $1}
current-context: labwire
YAML
}

pki() {
  mkdir -p "$run/pki"
  openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=labwire-test-cluster \
    -keyout "$run/pki/ca.key" -out "$run/pki/ca.crt" 2>"$logs/openssl.log"
  openssl ecparam -name prime256v1 -genkey -noout -out "$run/pki/accounts.key"
  openssl ec -in "$run/pki/accounts.key" -pubout -out "$run/pki/accounts.pub" 2>>"$logs/openssl.log"
  certificate apiserver /CN=kube-apiserver \
    "IP:$node_address,IP:$service_address,IP:127.0.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate kubelet-server "/CN=$node_name" "IP:$node_address,DNS:$node_name"
  access kubelet "/O=system:nodes/CN=system:node:$node_name" "$run/kubelet.kubeconfig"
  access controller-manager /CN=system:kube-controller-manager "$run/controller-manager.kubeconfig"
  access scheduler /CN=system:kube-scheduler "$run/scheduler.kubeconfig"
  access proxy /CN=system:kube-proxy "$run/proxy.kubeconfig"
  access admin /O=system:masters/CN=admin "$kubeconfig"
}

containerd_config() {
  cat >"$run/containerd.toml" <<TOML
version = 2
root = "$run/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_name"
  # Where this machine's root lacks CAP_SYS_RESOURCE no sandbox would start otherwise.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$run/cni"
TOML
  mkdir -p "$run/cni"
  # No masquerading and no host ports: chains for each pod would cost its start a tenth of a second,
  # and a lab may not reach the world.
  cat >"$run/cni/10-labwire.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "labwire",
  "plugins": [{
    "type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true,
    "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$pod_range"}]], "routes": [{"dst": "0.0.0.0/0"}]}
  }]
}
JSON
}

kubelet_config() {
  cat >"$run/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_address
readOnlyPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $run/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $run/pki/kubelet-server.crt
tlsPrivateKeyFile: $run/pki/kubelet-server.key
featureGates: {ProcMountType: true}
cgroupDriver: cgroupfs
failSwapOn: false
maxPods: 500
resolvConf: /dev/null
serializeImagePulls: false
# No registry could give an image back: none is removed, and a machine's full disk evicts no pod early.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
# Tests that stop the kubelet wait for NotReady: its lease is renewed every 2 s (a quarter of 8 s), and
# the controller-manager (parts.sh) gives it 20 s of silence instead of 40.
nodeLeaseDurationSeconds: 8
nodeStatusUpdateFrequency: 4s
# A kill that failed because the container had just ended by itself is looked at again at the next sync: after 10-15 s, not 60-90.
syncFrequency: 10s
# 5 and 10 by default: a launch storm of pods would wait for the kubelet's own limit.
kubeAPIQPS: 100
kubeAPIBurst: 200
eventRecordQPS: 0
YAML
}

proxy_config() {
  cat >"$run/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $run/proxy.kubeconfig}
mode: iptables
hostnameOverride: $node_name
clusterCIDR: $pod_range
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
# A pod's answer to another pod of the same bridge would not pass the rules where br_netfilter is missing.
iptables: {masqueradeAll: true, minSyncPeriod: 100ms, syncPeriod: 30s}
# Limits of the machine, which are not the node's to set.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
}

# What a fresh cluster needs beside its parts: claims get a folder of the node, as the controller-manager's
# hostpath provisioner makes them.
first_objects() {
  cat <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/host-path
YAML
}

configure() {
  rm -f "$logs"/*.log
  (umask 077 && pki)
  containerd_config
  kubelet_config
  proxy_config
  # Kubernetes' own default place; `type: Localhost` profiles are named relative to it.
  mkdir -p "$run/place/var/lib/kubelet/seccomp"
  cp "$top/lab-images/seccomp/lab.json" "$run/place/var/lib/kubelet/seccomp/lab.json"
}
