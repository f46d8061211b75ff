#!/bin/sh
# The way through ospf-triangle, as a learner would type it. Run inside the sandbox.
#   solution.sh            all of it
#   solution.sh --step N   step N alone: 1 start, 2 reach, 3 cut
# Each step returns when its effect is there (OSPF needs some seconds), or fails after 30 s.
set -eu

ospf() { # ROUTER NETWORK...
  name=$1; shift
  for network in "$@"; do set -- "$@" -c "network $network area 0"; shift; done
  labexec vtysh -N "$name" -c 'configure terminal' -c 'router ospf' "$@"
}

# until_true COMMAND...: asked five times a second, for 30 s.
until_true() {
  tries=150
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "solution: not in 30 s: $*" >&2; exit 1; }
    sleep 0.2
  done
}

full() { # ROUTER COUNT
  [ "$(labexec vtysh -N "$1" -c 'show ip ospf neighbor' | grep -c Full)" -ge "$2" ]
}
# Arrives through two routers (ttl 3) or three (ttl 4).
arrives() { labexec -n h1 ping -c1 -W1 -t "$1" 10.3.0.10; }

start() {
  ospf r1 10.0.12.0/30 10.0.13.0/30
  ospf r2 10.0.12.0/30 10.0.23.0/30
  ospf r3 10.0.13.0/30 10.0.23.0/30
  for router in r1 r2 r3; do until_true full $router 2; done
}
reach() {
  ospf r1 10.1.0.0/24
  ospf r3 10.3.0.0/24
  until_true arrives 3
}
cut() {
  labexec linkctl cut r1-r3
  until_true arrives 4
  labexec -n h1 ping -c5 -i0.2 -W1 10.3.0.10
  labexec linkctl restore r1-r3
  until_true arrives 3
  until_true full r1 2
}

case "${1:-all} ${2:-}" in
  'all ') start; reach; cut ;;
  '--step 1') start ;;
  '--step 2') reach ;;
  '--step 3') cut ;;
  *) echo "usage: solution.sh [--step 1|2|3]" >&2; exit 2 ;;
esac
