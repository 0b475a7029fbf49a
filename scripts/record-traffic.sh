#!/bin/sh
# Records assets/traffic.pcap.gz and writes assets/README.md: real traffic between two network namespaces.
# Needs root, and the Debian packages iproute2, ethtool and tcpdump, and node. Touches no interface of the host.
# Usage: scripts/record-traffic.sh [OUTPUT_DIRECTORY]     exit: 0 done, 1 failed, 2 usage, 3 something is missing
set -eu

here=$(cd "$(dirname "$0")" && pwd)
parts=$here/record-traffic
out=${1:-$here/../assets}

if [ $# -gt 1 ]; then
  echo "usage: scripts/record-traffic.sh [OUTPUT_DIRECTORY]" >&2
  exit 2
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "record-traffic: needs root to create network namespaces; run it with sudo" >&2
  exit 3
fi
for program in ip ethtool tcpdump node; do
  if ! command -v "$program" >/dev/null 2>&1; then
    echo "record-traffic: $program is missing; apt-get install iproute2 ethtool tcpdump nodejs" >&2
    exit 3
  fi
done
mkdir -p "$out"

# The addresses live in plan.mjs only.
plan() {
  (cd "$parts" && node --input-type=module -e "import * as plan from './plan.mjs'; console.log($1)")
}
client_ip=$(plan plan.CLIENT.ip)
client_mac=$(plan plan.CLIENT.mac)
server_ip=$(plan plan.SERVER.ip)
server_mac=$(plan plan.SERVER.mac)

client=record-client-$$
server=record-server-$$
work=$(mktemp -d)
server_pid=
dump_pid=
neigh_pid=

clean_up() {
  for pid in $neigh_pid $server_pid $dump_pid; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  # The veth pair goes with its namespaces.
  ip netns del "$client" 2>/dev/null || true
  ip netns del "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Waits up to ten seconds until the file $1 contains $2.
wait_for() {
  tries=0
  until grep -q "$2" "$1"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then
      echo "record-traffic: no \"$2\" in time:" >&2
      cat "$1" >&2
      exit 1
    fi
    sleep 0.1
  done
}

ip netns add "$client"
ip netns add "$server"
ip link add wire netns "$client" address "$client_mac" mtu 1500 type veth \
  peer name wire netns "$server" address "$server_mac" mtu 1500

# One end: no IPv6 noise, no offloads (each frame is then segmented and summed before the capture sees it), one address
# and a route to the other end's network over the same wire.
set_up_end() {
  ip netns exec "$1" sh -c 'for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done' \
    2>/dev/null || true
  ip -n "$1" link set wire addrgenmode none
  for feature in tso gso gro lro ufo rx tx sg rxvlan txvlan; do
    # Some are fixed in one kernel or another; finish.mjs refuses frames that show an offload at work.
    ip netns exec "$1" ethtool -K wire "$feature" off >/dev/null 2>&1 || true
  done
  ip -n "$1" addr add "$2/24" dev wire
  ip -n "$1" link set wire up
  ip -n "$1" route add "$3/32" dev wire
}
set_up_end "$client" "$client_ip" "$server_ip"
set_up_end "$server" "$server_ip" "$client_ip"

ip netns exec "$client" tcpdump -i wire -n -s 0 -B 32768 --time-stamp-precision=nano -Z root \
  -w "$work/raw.pcap" 2>"$work/tcpdump.log" &
dump_pid=$!
wait_for "$work/tcpdump.log" 'listening on'

ip netns exec "$server" node "$parts/server.mjs" >"$work/server.log" 2>&1 &
server_pid=$!
wait_for "$work/server.log" ready

# Forget the neighbour now and then (at most 300 times), so that ARP comes up between the other traffic.
(
  rounds=0
  while [ "$rounds" -lt 300 ]; do
    sleep 0.1
    ip -n "$client" neigh flush dev wire 2>/dev/null || exit 0
    rounds=$((rounds + 1))
  done
) &
neigh_pid=$!

echo "recording..."
if ! ip netns exec "$client" node "$parts/client.mjs"; then
  echo "record-traffic: the traffic failed; the server said:" >&2
  cat "$work/server.log" >&2
  exit 1
fi

# Time for the last acknowledgements, and for the capture to take what the kernel still holds.
sleep 2
kill -INT "$dump_pid"
wait "$dump_pid" || true
dump_pid=
if ! grep -q '^0 packets dropped by kernel' "$work/tcpdump.log"; then
  echo "record-traffic: the capture lost frames:" >&2
  cat "$work/tcpdump.log" >&2
  exit 1
fi

node "$parts/finish.mjs" "$work/raw.pcap" "$out/traffic.pcap.gz" "$out/README.md"
