#!/bin/bash
# How fast Agora is on a GPU: the tables that benchmarks.md wants of every device.
#
#   docs/bench-gpu.sh AGORA [PART …]
#
# AGORA is the program; the machine needs neither Go nor this repository, so build it elsewhere
# (CGO_ENABLED=1 go build -ldflags '-s -w' ./cmd/agora; it needs glibc 2.34) and copy it and this
# file. PART is one or more of
#
#   look    the device, and what a dispatch costs
#   gemm    products of matrices, in every type and layout
#   sweep   those of 2048, 4096 and 8192 with every alternative of the kernel and several tiles
#   small   training steps of the 15m and 110m shapes
#   large   those of 1.1b and 7b
#
# and all of them by default. A part takes at most eight minutes: what would take longer is cut
# off, and the next command goes on. The environment may say DEVICE (default vulkan), PEAK32 and PEAK16, the
# TFLOP/s that the device could do in f32 and in 16 bits, and for a try on a small device GEMM, SWEEP, SMALL and
# LARGE, what to measure.
set -uo pipefail
agora=$(realpath "${1:?usage: bench-gpu.sh AGORA [PART …]}")
shift
device=${DEVICE:-vulkan} peak32=${PEAK32:-0} peak16=${PEAK16:-0}

# run SECONDS ARGUMENTS… shows a command and what it prints, for so many seconds, or as many as
# the part has left.
run() {
	local most=$1 left=$((end - SECONDS))
	shift
	printf '\n$ agora %s\n' "$*"
	[ "$left" -gt 0 ] || { echo "# left out: the part has had its eight minutes"; return; }
	timeout -k 5 "$((most < left ? most : left))" "$agora" "$@" 2>&1 || echo "# exit code $?"
}

# step SHAPE DTYPE FLAGS… measures a training step of MultiLoRA 3 × rank 32 on all linear layers.
step() {
	local shape=$1 dtype=$2 peak=$peak16
	shift 2
	[ "$dtype" != f32 ] && [ "$dtype" != q8 ] && [ "$dtype" != q4 ] || peak=$peak32
	run 180 bench step --device "$device" --shape "$shape" --dtype "$dtype" --rank 32 --peak "$peak" --seconds 20 "$@"
}

part() {
	case $1 in
	look)
		run 60 doctor
		run 240 bench dispatch --device "$device"
		;;
	gemm)
		local sizes=${GEMM:-1024,2048,4096,8192,2048x4096x4096,2048x11008x4096,2048x96x4096,2048x4096x96,1x4096x4096,32x4096x4096}
		run 160 bench gemm --device "$device" --dtype f32 --sizes "$sizes" --peak "$peak32"
		run 160 bench gemm --device "$device" --dtype f16,bf16 --sizes "$sizes" --peak "$peak16"
		run 160 bench gemm --device "$device" --dtype q8,q4 --sizes "$sizes" --peak "$peak32"
		;;
	sweep)
		local sizes=${SWEEP:-2048,4096,8192}
		run 160 bench gemm --device "$device" --sweep --dtype bf16 --sizes "$sizes" --peak "$peak16"
		run 160 bench gemm --device "$device" --sweep --dtype f16 --sizes "$sizes" --peak "$peak16"
		run 160 bench gemm --device "$device" --sweep --dtype f32 --sizes "$sizes" --peak "$peak32"
		;;
	small)
		for shape in ${SMALL:-15m 110m}; do
			for dtype in f32 bf16 f16; do step "$shape" "$dtype"; done
			step "$shape" bf16 --kernels
		done
		step "$shape" bf16 --batch-rows 32
		;;
	large)
		for shape in ${LARGE:-1.1b 7b}; do
			step "$shape" bf16
			step "$shape" bf16 --kernels --steps 3
			step "$shape" bf16 --gradient-checkpointing --batch-rows 16
			for dtype in f16 q8 q4; do step "$shape" "$dtype" --steps 5; done
		done
		;;
	*)
		echo "bench-gpu.sh: want look, gemm, sweep, small or large, got $1" >&2
		exit 2
		;;
	esac
}

date -u
uname -sr
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv
[ $# -gt 0 ] || set -- look gemm sweep small large
for name; do
	end=$((SECONDS + 470))
	printf '\n== %s\n' "$name"
	part "$name"
done
