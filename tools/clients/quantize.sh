#!/bin/sh
# What llama-quantize makes of mixtures of experts, for tools/clients/llamacpp.py: see Makefile, llamacpp.
#   quantize.sh FOLDER to     of each NAME.f32 NAME.q4_k_m, and NAME.gguf, which is that in f32
#   quantize.sh FOLDER again  of each NAME.q4_k NAME-again.gguf, which is that in f32
set -eu
cd "$1"
quantize() { llama-quantize "$@" >quantize.log 2>&1 || { cat quantize.log >&2; exit 1; }; }
case $2 in
to)
	for file in *.f32; do
		name=${file%.f32}
		quantize "$file" "$name.q4_k_m" Q4_K_M 1
		quantize --allow-requantize "$name.q4_k_m" "$name.gguf" F32 1
	done
	;;
again)
	for file in *.q4_k; do
		quantize --allow-requantize "$file" "${file%.q4_k}-again.gguf" F32 1
	done
	;;
esac
