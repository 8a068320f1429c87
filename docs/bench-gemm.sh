#!/bin/bash
# The table "f32 GEMM" of benchmark-notebook.md: our products beside OpenBLAS, in turns,
# each with a probe of the FMA peak beside it.
#
#   docs/bench-gemm.sh FOLDER [rounds=5] [threads=all CPUs]
#
# FOLDER holds the reference programs (c/gemm_cblas.c, c/gemm_common.h) and
# setup_chroot.sh, which must have built its Debian system (ANCHORS, default
# ~/.anchors) before. Root, for chroot. Run it on an idle machine; the load
# average before and after is printed.
set -euo pipefail
anchors=$(cd "${1:?usage: bench-gemm.sh FOLDER [rounds] [threads]}" && pwd) rounds=${2:-5} threads=${3:-$(nproc)}
cd "$(dirname "$0")/.."
system=${ANCHORS:-$HOME/.anchors}/sid
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

go test -c -o "$out/gemm.test" ./backend/cpu/gemm
mkdir -p "$system/tmp/bench-gemm"
cp "$anchors"/c/gemm_cblas.c "$anchors"/c/gemm_common.h "$system/tmp/bench-gemm/"
if ! grep -q avx512f /proc/cpuinfo; then # the reference's probe of the peak, with AVX2
	sed -i 's/target("avx512f")/target("avx2,fma")/; s/__m512/__m256/g; s/_mm512_reduce_add_ps/_mm256_cvtss_f32/; s/_mm512_/_mm256_/g; s/"+v"/"+x"/g; s/"v"(/"x"(/g; s/12\*32/12*16/' "$system/tmp/bench-gemm/gemm_common.h"
fi
chroot "$system" gcc -O2 -o /tmp/bench-gemm/run /tmp/bench-gemm/gemm_cblas.c -l:libopenblas.so.0 -lpthread

echo "# load before: $(cut -d' ' -f1-3 /proc/loadavg); $threads threads, $rounds rounds"
for _ in $(seq "$rounds"); do
	AGORA_THREADS=$threads "$out/gemm.test" -test.run '^$' -test.benchtime 3x \
		-test.bench 'Sgemm/^(1024x1024x1024|2048x|4096x4096|512x4096x4096|512x11008|512x32x4096|512x4096x96|1x4096)' >>"$out/ours"
	chroot "$system" env OPENBLAS_NUM_THREADS="$threads" /tmp/bench-gemm/run "$threads" 1 openblas >>"$out/theirs"
done
echo "# load after: $(cut -d' ' -f1-3 /proc/loadavg)"

# Ours: name, iterations, then value-unit pairs. Theirs: lib T shape ... layout median min max %peak.
awk '
function keep(key, v) { n[key]++; list[key, n[key]] = v; if (v > best[key]) best[key] = v }
function median(key,   i, j, t) {
	for (i = 2; i <= n[key]; i++) for (j = i; j > 1 && list[key, j] < list[key, j-1]; j--) { t = list[key, j]; list[key, j] = list[key, j-1]; list[key, j-1] = t }
	return list[key, int((n[key] + 1) / 2)]
}
FILENAME ~ /ours$/ && /^BenchmarkSgemm/ {
	split($1, part, "/"); sub(/-[0-9]+$/, "", part[3]); key = part[2] " " part[3]
	if (!(key in seen)) { seen[key]; order[++rows] = key }
	for (i = 3; i < NF; i += 2) { u = $(i+1); if (u == "best") keep("o" key, $i); if (u == "peak") keep("p" key, $i); if (u == "%median") keep("m" key, $i); if (u == "%peak-cpu") keep("c" key, $i) }
}
FILENAME ~ /theirs$/ && /^openblas/ {
	shape = $3; if (shape ~ /\^3$/) { sub(/\^3/, "", shape); shape = shape "x" shape "x" shape }
	if ($0 ~ /sgemv/) next
	for (i = 4; i < NF; i++) if ($i ~ /^(NN|NT|TN)$/) { key = shape " " $i; keep("t" key, $(i+3)); keep("q" key, $(i+4)) }
}
END {
	print "| M x N x K | | peak probe | Agora, best round | median round | best of best peak | median of median peak | per CPU second, of peak | OpenBLAS, best round | median round |"
	print "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
	for (r = 1; r <= rows; r++) {
		k = order[r]; split(k, part, " ")
		printf "| %s | %s | %.0f | %.3g | %.3g | %.0f %% | %.0f %% | %.0f %% | %.3g | %.3g |\n", part[1], part[2], best["p" k], best["o" k], median("o" k), 100 * best["o" k] / best["p" k], median("m" k), median("c" k), best["t" k], median("t" k)
	}
}' "$out/ours" "$out/theirs"
