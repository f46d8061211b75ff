#!/bin/sh
# The way through vm-static-routes, as a learner would type it. Run inside the sandbox.
#   solution.sh            all of it
#   solution.sh --step N   step N alone: 1 link, 2 routes, 3 forward, 4 keep
set -eu

link() {
  labexec -n r1 ip address add 10.0.12.1/30 dev eth1
  labexec -n r2 ip address add 10.0.12.2/30 dev eth0
}
routes() {
  labexec -n r1 ip route add 10.2.0.0/24 via 10.0.12.2
  labexec -n r2 ip route add 10.1.0.0/24 via 10.0.12.1
  labexec -n h1 ip route add default via 10.1.0.1
}
forward() { labexec -n r1 sysctl -w net.ipv4.ip_forward=1; }
keep() {
  labexec -n r1 sh -c 'cat >/etc/rc.local <<END
#!/bin/sh
ip address add 10.0.12.1/30 dev eth1
ip route add 10.2.0.0/24 via 10.0.12.2
sysctl -w net.ipv4.ip_forward=1
END
chmod +x /etc/rc.local'
  # In a moment, so that this line still gets its answer; then until its next life answers.
  labexec -n r1 sh -c '(sleep 1; reboot) >/dev/null 2>&1 &'
  tries=0
  # shellcheck disable=SC2016 # the machine's shell reads it
  until labexec -n r1 -t 5 sh -c 'test "$(cat /var/log/boots)" -ge 2' 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 30 ] || { echo 'r1 did not come back' >&2; exit 1; }
    sleep 1
  done
}

case "${1:-all} ${2:-}" in
  'all ') link; routes; forward; keep ;;
  '--step 1') link ;;
  '--step 2') routes ;;
  '--step 3') forward ;;
  '--step 4') keep ;;
  *) echo "usage: solution.sh [--step 1|2|3|4]" >&2; exit 2 ;;
esac
