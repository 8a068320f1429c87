#!/bin/bash
# Runs the assembly for AMX on an emulated CPU that has it (Bochs 3, Sapphire Rapids), for machines whose own CPU has not,
# and compares what it writes with the model of tiles in backend/cpu/gemm/amx_test.go, bit for bit.
#
#   tools/amx-emulated.sh
#
# Linux gives no process the tiles of this emulator, which lacks XFD (avx512-emulated.sh runs whole tests, on Linux). So
# the processor starts in a ROM of our own, tools/amx-emulated.s: it turns AMX on and makes calls that a test has written
# with its own code to an image of memory. It takes seconds. Debian or a relative on amd64, with binutils; Bochs is
# unpacked into tools/.bochs. Exit status 0 means that every call wrote what it should.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x tools/.bochs/run ] || tools/vktools.sh "$PWD/tools/.bochs" bochs bochs-term bochsbios >&2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

as --64 -o "$dir/rom.o" tools/amx-emulated.s
ld -Ttext 0xf0000 --oformat binary -o "$dir/rom" "$dir/rom.o"
CGO_ENABLED=0 go test -c -o "$dir/gemm.test" ./backend/cpu/gemm
(cd "$dir" && AGORA_AMX_IMAGE=$dir ./gemm.test -test.run '^TestImage$' >&2)

cat >"$dir/bochsrc" <<-EOF
	cpu: model=sapphire_rapids, ips=200000000, reset_on_triple_fault=0
	memory: guest=256, host=256, block_size=8192
	romimage: file=$dir/rom, address=0xffff0000
	vgaromimage: file=$PWD/tools/.bochs/root/usr/share/bochs/VGABIOS-lgpl-latest
	optramimage1: file=$dir/code, address=$(cat "$dir/address")
	optramimage2: file=$dir/calls, address=0x4000000
	com1: enabled=1, mode=file, dev=$dir/serial
	display_library: term
	plugin_ctrl: unmapped=1, biosdev=0, extfpuirq=1, serial=1, speaker=0, parallel=0, iodebug=0
	clock: sync=none
	log: $dir/log
	panic: action=fatal
	error: action=ignore
EOF
: >"$dir/serial"
echo c >"$dir/rc" # Debian's Bochs is built with the debugger, which waits for "continue"
# The text-mode display wants a terminal: script gives it one.
LTDL_LIBRARY_PATH=$PWD/tools/.bochs/root/usr/lib/x86_64-linux-gnu/bochs/plugins TERM=xterm timeout 20m \
	script -qec "tools/.bochs/run bochs-bin -q -f $dir/bochsrc -rc $dir/rc" /dev/null </dev/null >"$dir/display" 2>&1 || true
count=$(cat "$dir/count") ok=$(tr -cd . <"$dir/serial" | wc -c)
echo "$ok of $count calls wrote what the model of tiles does"
[ "$ok" = "$count" ] || { cat "$dir/serial"; echo " (Bochs: $(tail -n 3 "$dir/log"))"; exit 1; } >&2
