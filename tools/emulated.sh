#!/bin/bash
# Runs the assembly for AMX and AVX-512 on an emulated CPU that has them (Bochs 3, Sapphire Rapids), for machines whose own
# CPU has not, and compares what it writes with what it should, bit for bit: a model of tiles, or AVX2.
#
#   tools/emulated.sh [package folder ...]
#
# Linux gives no process the tiles of this emulator, which lacks XFD (avx512-emulated.sh runs whole tests, on Linux). So
# the processor starts in a ROM of our own, tools/emulated.s: it turns AVX-512 and AMX on and makes calls that a test
# (TestImage) has written with its own code to an image of memory. It takes seconds. Debian or a relative on amd64, with
# binutils; Bochs is unpacked into tools/.bochs. Exit status 0 means that every call wrote what it should.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- backend/cpu/gemm backend/cpu/internal/vec
[ -x tools/.bochs/run ] || tools/vktools.sh "$PWD/tools/.bochs" bochs bochs-term bochsbios >&2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

as --64 -o "$dir/rom.o" tools/emulated.s
ld -Ttext 0xf0000 --oformat binary -o "$dir/rom" "$dir/rom.o"
echo c >"$dir/rc" # Debian's Bochs is built with the debugger, which waits for "continue"
for package in "$@"; do
	CGO_ENABLED=0 go test -c -o "$dir/test" "./$package"
	(cd "$dir" && AGORA_IMAGE=$dir ./test -test.run '^TestImage$' >&2)
	# Bochs reads a file as if blocks of memory followed each other, which they do not: a file a block of 8 MiB.
	address=$(cat "$dir/address") last=2 behind=
	first=$((0x800000 - address))
	head -c "$first" "$dir/code" >"$dir/code1"
	tail -c "+$((first + 1))" "$dir/code" >"$dir/code2"
	[ ! -s "$dir/code2" ] || last=3 behind="optramimage2: file=$dir/code2, address=0x800000"
	[ "$(stat -c %s "$dir/code2")" -le $((0x800000)) ] || { echo "$package: its test is larger than 12 MiB" >&2; exit 1; }
	cat >"$dir/bochsrc" <<-EOF
		cpu: model=sapphire_rapids, ips=200000000, reset_on_triple_fault=0
		memory: guest=256, host=256, block_size=8192
		romimage: file=$dir/rom, address=0xffff0000
		vgaromimage: file=$PWD/tools/.bochs/root/usr/share/bochs/VGABIOS-lgpl-latest
		optramimage1: file=$dir/code1, address=$address
		$behind
		optramimage$last: file=$dir/calls, address=0x4000000
		com1: enabled=1, mode=file, dev=$dir/serial
		display_library: term
		plugin_ctrl: unmapped=1, biosdev=0, extfpuirq=1, serial=1, speaker=0, parallel=0, iodebug=0
		clock: sync=none
		log: $dir/log
		panic: action=fatal
		error: action=ignore
	EOF
	: >"$dir/serial"
	# The text-mode display wants a terminal: script gives it one.
	LTDL_LIBRARY_PATH=$PWD/tools/.bochs/root/usr/lib/x86_64-linux-gnu/bochs/plugins TERM=xterm timeout 20m \
		script -qec "tools/.bochs/run bochs-bin -q -f $dir/bochsrc -rc $dir/rc" /dev/null </dev/null >"$dir/display" 2>&1 || true
	# One letter a call: a point, or F.
	count=$(wc -l <"$dir/names") ok=$(tr -cd . <"$dir/serial" | wc -c)
	echo "$package: $ok of $count calls wrote what they should"
	if [ "$ok" != "$count" ]; then
		fold -w1 "$dir/serial" | paste - "$dir/names" | grep -v '^\.' | head -n 20
		echo "(Bochs: $(tail -n 3 "$dir/log"))"
		exit 1
	fi >&2
done
