#!/bin/sh
# The way through static-routes, as a learner would type it. Run inside the sandbox.
#   solution.sh            all of it
#   solution.sh --step N   step N alone: 1 link, 2 there, 3 back, 4 gateway
set -eu

router() { name=$1; shift; labexec vtysh -N "$name" -c 'configure terminal' "$@"; }

link() {
  router r1 -c 'interface eth1' -c 'ip address 10.0.12.1/30'
  router r2 -c 'interface eth1' -c 'ip address 10.0.12.2/30'
}
there() { router r1 -c 'ip route 10.2.0.0/24 10.0.12.2'; }
back() { router r2 -c 'ip route 10.1.0.0/24 10.0.12.1'; }
gateway() { labexec -n h2 ip route add default via 10.2.0.1; }

case "${1:-all} ${2:-}" in
  'all ') link; there; back; gateway ;;
  '--step 1') link ;;
  '--step 2') there ;;
  '--step 3') back ;;
  '--step 4') gateway ;;
  *) echo "usage: solution.sh [--step 1|2|3|4]" >&2; exit 2 ;;
esac
