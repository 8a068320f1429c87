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
#   decode  one to eight rows times a weight, whose limit is the bytes of the weight
#   sweep   a few of them with every shader and tile of the kernel
#   SHAPE   training steps of a shape, as agora bench step takes it, in every type
#
# and look, gemm, decode, sweep, 15m, 110m, 1.1b and 7b by default. A part takes at most eight minutes: what
# would take longer is cut off, and the next command goes on. The environment may say DEVICE (default vulkan),
# PEAK32 and PEAK16 (TFLOP/s that the device could do in f32 and in 16 bits; 67 and 989 of an H100 SXM), BANDWIDTH
# (GB/s of its memory; 3350 there), and GEMM, DECODE, DECODE_SWEEP and SWEEP, sizes of products for smaller devices. Weights that
# a device's caches hold are read faster than its memory is. BESIDE, a command as agora bench step --beside takes it, has
# steps in bf16 and f32 measured in turns with another program: 'python3 torch_step.py --device cuda', from tools/beside.
set -uo pipefail
agora=$(realpath "${1:?usage: bench-gpu.sh AGORA [PART …]}")
shift
device=${DEVICE:-vulkan} peak32=${PEAK32:-0} peak16=${PEAK16:-0} bandwidth=${BANDWIDTH:-0}

# run SECONDS ARGUMENTS… shows a command and what it prints, for so many seconds, or as many as
# the part has left.
run() {
	local most=$1 left=$((end - SECONDS))
	shift
	printf '\n$ agora %s\n' "$*"
	[ "$left" -gt 0 ] || { echo "# left out: the part has had its eight minutes"; return; }
	timeout -k 20 "$((most < left ? most : left))" "$agora" "$@" 2>&1 || echo "# exit code $?"
}

gemm() { run "$1" bench gemm --device "$device" --dtype "$2" --peak "$3" "${@:4}"; }

# step DTYPE PEAK FLAGS… measures a step of MultiLoRA 3 × rank 32 on all linear layers.
step() {
	run 120 bench step --device "$device" --shape "$shape" --dtype "$1" --peak "$2" --rank 32 --warm-up 2 --seconds 20 "${@:3}"
}

part() {
	case $1 in
	look)
		run 60 doctor
		run 240 bench dispatch --device "$device"
		;;
	gemm)
		local sizes=${GEMM:-1024,2048,4096,8192,2048x4096x4096,2048x11008x4096,2048x96x4096,2048x4096x96,1x4096x4096,32x4096x4096}
		gemm 180 f16,bf16 "$peak16" --sizes "$sizes"
		printf '\n# some with matrices of workgroups, if agora doctor names any:'
		export AGORA_VULKAN_WORKGROUP_MATRICES=1
		gemm 60 f16,bf16 "$peak16" --sizes "${GEMM:-4096,2048x11008x4096}"
		unset AGORA_VULKAN_WORKGROUP_MATRICES
		gemm 140 f32 "$peak32" --sizes "$sizes"
		gemm 140 q8,q4 "$peak32" --sizes "$sizes"
		;;
	decode)
		local rows=(--layouts NT --bandwidth "$bandwidth")
		local sizes=${DECODE:-1x4096x4096,2x4096x4096,4x4096x4096,8x4096x4096,9x4096x4096,1x11008x4096,8x11008x4096,1x4096x11008,1x32000x4096,1x1024x4096,1x96x4096,1x4096x96}
		gemm 90 f32,bf16,f16,q8,q4 0 "${rows[@]}" --sizes "$sizes"
		printf '\n# the same without the shader for few rows:'
		export AGORA_VULKAN_PLAIN=1
		gemm 90 f32,bf16,f16,q8,q4 0 "${rows[@]}" --sizes "$sizes"
		unset AGORA_VULKAN_PLAIN
		gemm 240 f32,bf16,q4 0 "${rows[@]}" --rounds 3 --round 50ms --sizes "${DECODE_SWEEP:-1x11008x4096,8x11008x4096,1x1024x4096}" --sweep
		;;
	sweep)
		local few=(--sweep --rounds 3 --round 50ms --sizes "${SWEEP:-2048,4096,8192}")
		gemm 180 bf16 "$peak16" "${few[@]}"
		gemm 180 f16 "$peak16" "${few[@]}"
		gemm 100 f32 "$peak32" "${few[@]}"
		;;
	*)
		local shape=$1
		step bf16 "$peak16"
		step bf16 "$peak16" --steps 3 --kernels
		step bf16 "$peak16" --batch-rows 16 --gradient-checkpointing
		step f16 "$peak16"
		step f32 "$peak32"
		step q8 "$peak32"
		step q4 "$peak32"
		step q4 "$peak16" --compute-dtype bf16
		if [ -n "${BESIDE:-}" ]; then
			run 150 bench step --device "$device" --shape "$shape" --dtype bf16 --rank 32 --warm-up 2 --steps 5 --pairs 2 --beside "$BESIDE"
			run 150 bench step --device "$device" --shape "$shape" --dtype f32 --rank 32 --warm-up 2 --steps 5 --pairs 2 --beside "$BESIDE"
		fi
		;;
	esac
}

date -u
uname -sr
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv
[ $# -gt 0 ] || set -- look gemm decode sweep 15m 110m 1.1b 7b
for name; do
	end=$((SECONDS + 455))
	printf '\n== %s\n' "$name"
	part "$name"
done
