#!/bin/sh
# Holds CONNECTIONS clients (100000) in one server process and compares what it
# costs with configs/targets/capacity.yaml. Where this machine does not allow
# that many open files, it does so in a guest kernel: User-Mode Linux, an
# ordinary program with limits of its own. GUEST=1 does so in any case.
#
#	bench/capacity/run.sh path/to/sluice
set -eu
here=$(dirname "$0")
sluice=${1:-bin/sluice}
: "${CONNECTIONS:=100000}" "${GUEST:=0}" "${GUEST_MEMORY:=8G}"
export CONNECTIONS

# Clients and server each need a descriptor for each connection, and some more.
need=$((CONNECTIONS + CONNECTIONS / 50 + 2000))
hard=$(ulimit -Hn)
if [ "$GUEST" = 0 ] && { [ "$hard" = unlimited ] || [ "$hard" -ge "$need" ]; }; then
	ulimit -n "$need"
	export PATIENCE=30s HEARTBEAT=25s
	exec "$here/load.sh" "$sluice" "$here/../../configs/targets/capacity.yaml"
fi

for program in linux.uml busybox cpio; do
	if ! command -v "$program" >/dev/null; then
		echo "SKIPPED capacity: $need open files are needed, $hard allowed; raise the limit (ulimit -Hn)," \
			"or install the guest kernel: apt-get install user-mode-linux busybox-static cpio"
		exit 0
	fi
done

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/tree/bin" "$root/tree/proc" "$root/tree/sys" "$root/tree/tmp" "$root/tree/dev"
cp "$(command -v busybox)" "$root/tree/bin/busybox"
cp "$sluice" "$root/tree/bin/sluice"
cp "$here/../../configs/targets/capacity.yaml" "$root/tree/targets.yaml"
cp "$here/load.sh" "$here/init" "$root/tree/"
(cd "$root/tree" && find . | cpio --quiet -o -H newc) >"$root/initrd"

# The guest's memory is a file; on a disk it would be written back now and then.
memory=$root
if [ -w /dev/shm ] && [ "$(df -Pk /dev/shm | awk 'END { print $4 }')" -gt 8388608 ]; then
	memory=/dev/shm
fi

# A system call costs 0.6 ms in there, so every time is longer.
echo "capacity: $CONNECTIONS connections in a guest kernel; this takes a while"
TMPDIR=$memory linux.uml "mem=$GUEST_MEMORY" "initrd=$root/initrd" rdinit=/init con=null con0=fd:0,fd:1 quiet \
	"CONNECTIONS=$CONNECTIONS" "MACHINE=$(uname -r), User-Mode Linux" </dev/null 2>&1 | tee "$root/console"
# The guest has no exit status to give: it says so on its console.
grep -q '^capacity: passed' "$root/console"
