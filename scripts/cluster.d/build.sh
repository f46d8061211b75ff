# shellcheck shell=sh disable=SC2154 # sourced by scripts/cluster, which sets $top, $state and $pieces
# Builds Kubernetes from Debian's source package, because no registry and no download site is asked
# for binaries: the package carries its vendored dependencies, so apt is the only source.

# The one Go that this Kubernetes is built with here, whatever newer one the machine has.
go_package=golang-1.19-go
go_bin=/usr/lib/go-1.19/bin
components='kube-apiserver kubelet kube-controller-manager kube-scheduler kube-proxy'

# version PACKAGE: the version apt would install; nothing when it knows none.
version() { apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1; }

# Sets $source_version, $built: what is built, and the folder where it lies when it is.
build_key() {
  source_version=$(version kubernetes-client)
  go_version=$(version $go_package)
  if [ -z "$source_version" ] || [ -z "$go_version" ]; then
    # No package lists (a fresh container, or not Debian 12): what was built before serves.
    built=$(find "$state/build" -mindepth 2 -maxdepth 2 -name 'done' 2>/dev/null | head -n 1)
    [ -z "$built" ] || { built=${built%/done}; return 0; }
    apt-get -q update >/dev/null 2>&1 || :
    source_version=$(version kubernetes-client)
    go_version=$(version $go_package)
  fi
  if [ -z "$source_version" ] || [ -z "$go_version" ]; then
    die "cluster: apt knows no kubernetes-client and $go_package (they are Debian 12's); set KUBECONFIG to a cluster that runs already"
  fi
  recipe=$(cat "$pieces/build.sh" "$pieces/pause.c" | sha256sum | cut -c1-12)
  built=$state/build/$(echo "$source_version-$go_version-$recipe-$(uname -m)" | tr -c 'A-Za-z0-9.\n-' _)
}

# step LABEL COMMAND...: one line with the seconds it took; the output is in the log.
step() {
  label=$1
  shift
  step_started=$(date +%s)
  echo "== $label" >>"$build_log"
  # Not `"$@" || …`: the shell would then run on after a command that fails inside the function.
  set +e
  (set -e; "$@") >>"$build_log" 2>&1
  failed=$?
  set -e
  [ $failed = 0 ] || { tail -n 20 "$build_log" >&2; die "cluster: $label failed (whole log: $build_log)"; }
  say "cluster: $label ($(($(date +%s) - step_started)) s)"
}

# The system's own sources, asked for source packages, in folders of our own: its lists stay as they are.
fetch_source() {
  rm -rf "$work/apt" "$work/source"
  mkdir -p "$work/apt/parts" "$work/apt/lists/partial" "$work/source"
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/apt/parts/${file##*/}"
  done
  sed -n 's/^deb /deb-src /p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list >"$work/apt/parts/lines.list" 2>/dev/null || :
  from="-o Dir::Etc::SourceParts=$work/apt/parts -o Dir::Etc::SourceList=/dev/null -o Dir::State::Lists=$work/apt/lists -o APT::Sandbox::User=root -o Acquire::Retries=3"
  cd "$work/source"
  # shellcheck disable=SC2086 # options without spaces
  apt-get -q $from update
  # shellcheck disable=SC2086
  apt-get -q $from source "kubernetes=$source_version"
  tree=$(find "$work/source" -mindepth 1 -maxdepth 1 -type d)
  mkdir -p "$work/go/src/k8s.io"
  rm -rf "$work/go/src/k8s.io/kubernetes"
  mv "$tree" "$work/go/src/k8s.io/kubernetes"
}

# The vendored reflect2 1.0.1 reads Go's maps as they were before 1.18: the API server would end with
# a segmentation fault at the first custom resource. Debian's 1.0.2 is mended.
mend_reflect2() {
  cd "$work/go/src/k8s.io/kubernetes/vendor/github.com/modern-go/reflect2"
  rm -f ./*.go ./*.s
  cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.go /usr/share/gocode/src/github.com/modern-go/reflect2/*.s .
  rm -f ./*_test.go
}

# The test cluster's claims are folders of the node. They would be root's own (0750), and nothing gives
# them to the pod's group as a real volume's driver does: so they are everyone's.
mend_hostpath() {
  cd "$work/go/src/k8s.io/kubernetes/pkg/volume/hostpath"
  sed -i 's/MkdirAll(pv.Spec.HostPath.Path, 0750)/MkdirAll(pv.Spec.HostPath.Path, 0777)/' host_path.go
  grep -q 'MkdirAll(pv.Spec.HostPath.Path, 0777)' host_path.go
}

generate() {
  cd "$work/go/src/k8s.io/kubernetes"
  # There is no git tree to ask.
  cat >"$work/version" <<VERSION
KUBE_GIT_COMMIT='$source_version'
KUBE_GIT_TREE_STATE='archive'
KUBE_GIT_VERSION='v$kube_version'
KUBE_GIT_MAJOR='${kube_version%%.*}'
KUBE_GIT_MINOR='$(echo "$kube_version" | cut -d. -f2)'
VERSION
  KUBE_GIT_VERSION_FILE=$work/version make generated_files
}

compile() { # COMPONENT
  cd "$work/go/src/k8s.io/kubernetes"
  base=k8s.io/kubernetes/vendor/k8s.io/component-base/version
  # -s -w: no debug tables, which are a third of each file
  go build -o "$part/$1" -ldflags "-s -w -X $base.gitVersion=v$kube_version -X $base.gitMajor=${kube_version%%.*} \
    -X $base.gitMinor=$(echo "$kube_version" | cut -d. -f2) -X k8s.io/kubernetes/vendor/k8s.io/client-go/pkg/version.gitVersion=v$kube_version" \
    "./cmd/$1"
}

# The sandbox image, as an archive of the form that `docker save` writes.
pause_image() {
  cc -static -Os -s -Wall -Wextra -Werror -o "$part/pause" "$pieces/pause.c"
  case $(uname -m) in aarch64) arch=arm64 ;; *) arch=amd64 ;; esac
  rm -rf "$work/pause" && mkdir "$work/pause"
  cd "$work/pause"
  tar -C "$part" --owner=0 --group=0 --mtime=@0 -cf layer.tar pause
  echo "{\"architecture\":\"$arch\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/pause\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$(sha256sum <layer.tar | cut -d' ' -f1)\"]}}" >config.json
  echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"$pause_name\"],\"Layers\":[\"layer.tar\"]}]" >manifest.json
  tar -cf "$part/pause.tar" manifest.json config.json layer.tar
}

build_all() {
  build_started=$(date +%s)
  # "1.20.5+really1.20.2-1.1+deb12u1" is Debian's way to write 1.20.2
  kube_version=$(echo "$source_version" | sed 's/.*really//; s/-.*//')
  build_log=$built.log
  part=$built.part
  # Go's cache is kept until all is built, so that an interrupted build goes on where it was.
  work=$state/build/work
  rm -rf "$part"
  mkdir -p "$part" "$work"
  : >"$build_log"
  say "cluster: building Kubernetes $kube_version (once; 6-7 minutes on two cores; log: $build_log)"
  "$top/scripts/need" cluster-build
  export GO111MODULE=off CGO_ENABLED=0 GOPATH="$work/go" GOCACHE="$work/cache" GOFLAGS='' HOME="$work" PATH="$go_bin:$PATH"
  step "source package kubernetes $source_version fetched" fetch_source
  step "reflect2 mended" mend_reflect2
  step "folders of claims mended" mend_hostpath
  step "sources generated" generate
  for component in $components; do step "$component built" compile "$component"; done
  step "pause image built" pause_image
  touch "$part/done"
  rm -rf "$built"
  mv "$part" "$built"
  # Builds of other inputs are of no use any more, but for the one that runs.
  runs=$(cat "$run/built" 2>/dev/null || :)
  find "$state/build" -mindepth 1 -maxdepth 1 ! -path "$built" ! -path "$built.log" ! -path "${runs:-none}" -exec rm -rf {} +
  say "cluster: Kubernetes $kube_version built ($(($(date +%s) - build_started)) s)"
}

# The binaries are in $built afterwards. A lock of its own: a cluster that runs can be used meanwhile.
build() {
  build_key
  mkdir -p "$state/build"
  # a subshell: Go's environment and the lock are for the build alone
  [ -e "$built/done" ] || (
    exec 8>"$state/build.lock"
    flock 8
    [ -e "$built/done" ] || build_all
  )
}
