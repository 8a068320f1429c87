package gemm

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// BenchmarkSgemm measures whole products, each sample right after a probe of the
// FMA peak with the same number of threads:
//
//	GFLOP/s    median of wall time
//	best       the best sample, GFLOP/s
//	peak       the best probe, GFLOP/s
//	%peak      best over peak
//	%median    median sample over median probe
//	%peak-cpu  median over samples of work per CPU second, product over probe:
//	           the figure to read when others use the machine
//
// AGORA_THREADS sets the threads (all CPUs otherwise).
func BenchmarkSgemm(b *testing.B) {
	threads, _ := strconv.Atoi(os.Getenv("AGORA_THREADS"))
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	team := parallel.New(threads)
	defer team.Close()
	e := NewOn(team)
	for _, s := range [][3]int{
		{1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 4096, 4096}, {512, 4096, 4096}, {512, 11008, 4096},
		{96, 288, 2048}, {288, 96, 2048}, {768, 96, 2048}, {256, 288, 32000}, {256, 32000, 288}, {24, 288, 2048},
		{288, 24, 2048}, {768, 24, 2048}, {2048, 24, 288}, {2048, 288, 24}, {2048, 288, 288}, {2048, 288, 768}, {512, 32, 4096}, {512, 96, 4096},
		{512, 4096, 96}, {4096, 32, 512}, {512, 4096, 32}, {512, 4096, 8}, {512, 8, 4096},
		{1, 4096, 4096}, {8, 4096, 4096}, {64, 64, 64}, {16, 16, 16},
	} {
		m, n, k := s[0], s[1], s[2]
		for _, layout := range []string{"NN", "NT", "TN"} {
			b.Run(fmt.Sprintf("%dx%dx%d/%s", m, n, k, layout), func(b *testing.B) {
				a, x, c := random(m*k), random(n*k), random(m*n)
				transA, transB := layout[0] == 'T', layout[1] == 'T'
				lda, ldb := k, n
				if transA {
					lda = m
				}
				if transB {
					ldb = k
				}
				matrix := F32(x, ldb)
				sample(b, team, 2*float64(m)*float64(n)*float64(k), func() {
					e.Sgemm(transA, transB, m, n, k, a, lda, matrix, c, n, false)
				})
			})
		}
	}
}

// BenchmarkSgemv is one row times a matrix, as in decoding: GB/s of B.
func BenchmarkSgemv(b *testing.B) {
	team := parallel.New(0)
	defer team.Close()
	e := NewOn(team)
	const n = 4096
	x, y := random(n), random(n)
	f32, half := random(n*n), make([]uint16, n*n)
	for i := range half {
		half[i] = 0x3c00
	}
	for _, c := range []struct {
		name  string
		m     Matrix
		bytes int
	}{{"f32", F32(f32, n), 4}, {"f16", F16(half, n), 2}, {"bf16", BF16(half, n), 2}} {
		for _, trans := range []bool{true, false} {
			b.Run(fmt.Sprintf("1x%dx%d/%s/transB=%t", n, n, c.name, trans), func(b *testing.B) {
				b.SetBytes(int64(n * n * c.bytes))
				for b.Loop() {
					e.Sgemm(false, trans, 1, n, n, x, n, c.m, y, n, false)
				}
			})
		}
	}
}

// BenchmarkWorkspace is the single-goroutine form at the sizes of attention
// tiles, with rows as far apart as in [tokens, heads, 64].
func BenchmarkWorkspace(b *testing.B) {
	w := newWorkspace(kernels[0])
	const ld = 8 * 64
	q, k, c := random(64*ld), random(64*ld), random(64*64)
	for _, trans := range []bool{true, false} {
		b.Run(fmt.Sprintf("64x64x64/transB=%t", trans), func(b *testing.B) {
			for b.Loop() {
				w.Sgemm(false, trans, 64, 64, 64, q, ld, F32(k, ld), c, 64, false)
			}
			b.ReportMetric(2*64*64*64/float64(b.Elapsed().Nanoseconds())*float64(b.N), "GFLOP/s")
		})
	}
}

func random(n int) []float32 {
	s := make([]float32, n)
	state := uint32(1)
	for i := range s {
		state = state*1664525 + 1013904223
		s[i] = float32(int32(state)) * 0x1p-32
	}
	return s
}

// sample times f in stretches of some 40 ms, each after a probe of the peak that
// takes as long: a host that lends its cores to others takes its share of both.
func sample(b *testing.B, team *parallel.Team, flops float64, f func()) {
	const probes = 20 // of some 2 ms
	start := time.Now()
	f()
	once := time.Since(start)
	calls := int(max(1, 40*time.Millisecond/max(once, 1)))
	var rate, peak, partCPU []float64
	for b.Loop() {
		p, pCPU := rates(probes*probeFlops*float64(team.Threads()), func() {
			for range probes {
				team.Run(team.Threads(), func(_, _ int) { probe() })
			}
		})
		r, rCPU := rates(flops*float64(calls), func() {
			for range calls {
				f()
			}
		})
		rate, peak, partCPU = append(rate, r), append(peak, p), append(partCPU, 100*rCPU/pCPU)
	}
	b.ReportMetric(median(rate), "GFLOP/s")
	b.ReportMetric(slices.Max(rate), "best")
	if probeFlops > 0 {
		b.ReportMetric(slices.Max(peak), "peak")
		b.ReportMetric(100*slices.Max(rate)/slices.Max(peak), "%peak")
		b.ReportMetric(100*median(rate)/median(peak), "%median")
		b.ReportMetric(median(partCPU), "%peak-cpu")
	}
	b.ReportMetric(0, "ns/op")
}

// rates runs f and returns its GFLOP per second of wall and of CPU time.
func rates(flops float64, f func()) (wall, cpu float64) {
	start, startCPU := time.Now(), cpuTime()
	f()
	return flops / float64(time.Since(start).Nanoseconds()), flops / float64((cpuTime() - startCPU).Nanoseconds())
}

func median(s []float64) float64 {
	slices.Sort(s)
	return s[len(s)/2]
}
