#!/usr/bin/env bash
# A NIC is given to a guest and comes back, from a shell. Prints each command with what it says; a command that is to be
# refused is one too. Needs Node and a built clone (it builds one that is not); with the stock tools of XenStore (Debian's
# package xenstore-utils) it looks into the store as well.
#   examples/passthrough.sh
set -eu
cd "$(dirname "$0")/.."
[ -e build/cli.js ] || npm run --silent build >&2

portcullis() { node build/cli.js "$@"; }

# Its own folder for the sockets: a machine that is being served already is left alone.
unset PORTCULLIS_MACHINE
XDG_RUNTIME_DIR=$(mktemp -d)
export XDG_RUNTIME_DIR
export XENSTORED_PATH=$XDG_RUNTIME_DIR/portcullis/default/xenstored
server=

finish() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  rm -rf "$XDG_RUNTIME_DIR"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A command as one would type it, and what it says; the script ends with it if it fails.
run() {
  printf '$ %s\n' "$1"
  eval "$1" 2>&1
}

# One that has to fail.
refused() {
  if run "$1"; then
    echo "this should have been refused: $1" >&2
    exit 1
  fi
}

# The store by the stock tools, where they are.
store() {
  if command -v xenstore-ls >/dev/null; then run "$1"; fi
}

about() { printf '\n# %s\n' "$1"; }

about 'A machine with two network cards on one wire, and one behind a root port'
printf '$ portcullis serve &\n'
said=$XDG_RUNTIME_DIR/said
: >"$said"
node build/cli.js serve >"$said" &
server=$!
until grep -q XENSTORED_PATH "$said"; do
  kill -0 "$server" 2>/dev/null || { server=; exit 1; }
  sleep 0.1
done
run 'portcullis lspci'
run 'portcullis sysfs readlink /sys/bus/pci/devices/0000:00:04.0/driver'
refused 'portcullis explain 00:04.0'

about 'dom0 gives 00:04.0 to pciback: by hand, as sysfs has it'
run 'portcullis sysfs write /sys/bus/pci/drivers/e1000/unbind 0000:00:04.0'
run 'portcullis sysfs write /sys/bus/pci/drivers/pciback/new_slot 0000:00:04.0'
run 'portcullis sysfs write /sys/bus/pci/drivers/pciback/bind 0000:00:04.0'
run 'portcullis sysfs readlink /sys/bus/pci/devices/0000:00:04.0/driver'

about 'and 01:00.0 by xl, which does the same and remembers the driver'
run 'portcullis xl pci-assignable-add 01:00.0'
run 'portcullis xl pci-assignable-list'
store 'xenstore-ls -fp /libxl/pci'

about 'A guest that has 00:04.0 from the start'
run 'cat examples/guest.cfg'
run 'portcullis xl create examples/guest.cfg'
run 'portcullis xl list'
run 'portcullis xl console guest'
store 'xenstore-ls -fp /local/domain/0/backend/pci'
store 'xenstore-ls -fp /local/domain/1/device/pci'

about 'What the guest sees of it, and what it may do'
run 'portcullis xl pci-list guest'
run 'portcullis lspci --domain guest -v'
run 'portcullis setpci -s 00:04.0 COMMAND'
run 'portcullis setpci --domain guest -s 00:00.0 COMMAND=400:400 COMMAND'
run 'portcullis setpci -s 00:04.0 COMMAND'
refused 'portcullis setpci --domain guest -s 00:00.0 05.w'
refused 'portcullis explain 00:04.0 --domain guest --access dma:1000'
run 'portcullis xl debug-keys q'
run 'portcullis xl dmesg | tail -n 4'

about 'A second card is plugged in while the guest runs'
run 'portcullis xl pci-attach guest 01:00.0'
run 'portcullis xl console guest | tail -n 4'
run 'portcullis xl pci-list guest'
refused 'portcullis xl pci-attach guest 00:05.0'

about 'The first is taken away, and given again'
run 'portcullis xl pci-detach guest 00:04.0'
run 'portcullis xl pci-list guest'
refused 'portcullis explain 00:04.0 --domain guest --access mmio'
run 'portcullis xl pci-attach guest 00:04.0'
run 'portcullis xl console guest | tail -n 2'
store 'xenstore-ls /local/domain/0/backend/pci/1/0'

about 'The guest stops; another takes its place, and is ended at once'
run 'portcullis xl shutdown -w guest'
run 'portcullis xl list'
store 'xenstore-ls -fp /local/domain/0/backend'
run 'portcullis xl create examples/guest.cfg'
run 'portcullis xl destroy guest'
run 'portcullis xl pci-assignable-list'

about 'The devices go back to the drivers of dom0'
run 'portcullis sysfs write /sys/bus/pci/drivers/pciback/unbind 0000:00:04.0'
run 'portcullis sysfs write /sys/bus/pci/drivers/pciback/remove_slot 0000:00:04.0'
run 'portcullis sysfs write /sys/bus/pci/drivers/e1000/bind 0000:00:04.0'
run 'portcullis xl pci-assignable-remove -r 01:00.0'
run 'portcullis lspci -v | grep -e ^0 -e driver'
run 'portcullis dmesg | tail -n 4'

about 'The machine stops'
run 'kill %1'
wait "$server"
server=
[ ! -e "$XENSTORED_PATH" ]
