//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64) && !vulkan_bindings

package vulkan_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// widenedAttention opens a device that has attention with matrices of bf16 by a model of their loads, which testdata/bfloats.glsl
// explains.
func widenedAttention(t *testing.T, o vulkan.Options) *tensor.Device {
	t.Helper()
	needs(t, "attention_coopmat f16")
	codes := map[string][]byte{}
	for _, name := range []string{"attention", "attention_grad_q", "attention_grad_kv"} {
		text, err := os.ReadFile("../../shaders/" + name + "_coopmat.comp")
		if err != nil {
			t.Fatal(err)
		}
		const matrices = "#include \"include/cooperative.glsl\"\n"
		widened := strings.Replace(string(text), matrices, matrices+"#include \"bfloats.glsl\"\n", 1)
		file := filepath.Join(t.TempDir(), name+".comp")
		if err := os.WriteFile(file, []byte(widened), 0o644); err != nil {
			t.Fatal(err)
		}
		d, _ := shaders.Find(name)
		codes[name] = compileShader(t, file, fmt.Sprintf("-DBINDINGS=%d", len(d.Bindings)), "-DTILE1=bm", "-DTILE2=bn")
	}
	b, err := vulkan.OpenWidening(o, codes)
	if err != nil {
		t.Fatal(err)
	}
	return tensor.NewDevice(b)
}

// Attention and its gradients with matrices of bf16 compute what sums in float64 give, within the rounding of bf16, and as much of it
// on the average: weights are neither smaller nor larger than they are.
func TestAttentionOfBfloats(t *testing.T) {
	for form, tiles := range map[string]map[string]shaders.Tile{"own rows": attentionTiles(), "shared rows": sharedRows()} {
		t.Run(form, func(t *testing.T) {
			var trace bytes.Buffer
			subject := widenedAttention(t, vulkan.Options{Profile: &trace, Tiles: tiles})
			reference, runs := tensor.NewDevice(plainCPU(t)), 0
			cases := attentionCases()
			for _, name := range []string{"63 of 97", "129"} {
				i := slices.IndexFunc(cases, func(c attentionCase) bool { return c.name == name })
				t.Run(name, func(t *testing.T) { runs += cases[i].compareIn(t, tensor.BF16, 3e-5, subject, reference) })
			}
			t.Run("weights", func(t *testing.T) { runs += cutWeights(t, subject) })
			if err := subject.Close(); err != nil {
				t.Fatal(err)
			}
			ran := dispatches(t, &trace)
			for shader := range tiles {
				if ran[shader] != runs {
					t.Errorf("%s ran %d times, want %d", shader, ran[shader], runs)
				}
			}
		})
	}
}

// cutWeights looks at weights themselves, and says how often attention ran: of one query and one key each, of which one number is 1,
// they are a number of dv, and, where dy v is 1 or -1 and y is 0, of dq and dk.
func cutWeights(t *testing.T, subject *tensor.Device) int {
	const n, dim = 1048, 16
	c := attentionCase{k: kernels.Attention{Batch: n, T: 1, S: 1, Heads: 1, KVHeads: 1, HeadDim: dim, Scale: 1}}
	in := attentionInputs{y: make([]float64, n*dim), lse: make([]float64, n)}
	for _, p := range []*[]float64{&in.q, &in.k, &in.v, &in.dy} {
		*p = make([]float64, n*dim)
	}
	want, sign := make([]float64, n), make([]float64, n)
	for i := range n { // weights 1 to 2^-6, as many of each size, at last some that are 1, infinite and NaN
		at := i * dim
		coarse, fine := -math.Floor(float64(i)/256), -float64(i%256)/256
		in.q[at], in.q[at+1], in.q[at+2] = 1, 1, 1
		in.k[at], in.k[at+1], in.k[at+2], in.k[at+3] = coarse, math.Floor(fine*32)/32, fine-math.Floor(fine*32)/32, 1
		sign[i] = float64(1 - i%2*2)
		in.v[at], in.dy[at] = sign[i], 1
		switch {
		case i >= n-8:
			in.k[at], in.k[at+1], in.k[at+2], in.lse[i] = -3, 0, 0, -3
		case i >= n-16:
			in.lse[i] = math.Inf(-1)
		case i >= n-24:
			in.lse[i] = math.NaN()
		}
		want[i] = math.Exp(in.k[at] + in.k[at+1] + in.k[at+2] - in.lse[i])
	}
	out := c.on(t, subject, tensor.BF16, tensor.F32, in)
	for _, o := range []struct {
		name   string
		values []float64
		number int
		signed bool
	}{{"dq", out[2], 3, true}, {"dk", out[4], 0, true}, {"dv", out[5], 0, false}} {
		mean, square, nearest, count := 0.0, 0.0, 0.0, 0.0
		for i, w := range want {
			got := o.values[i*dim+o.number]
			if o.signed {
				got *= sign[i]
			}
			if i >= n-24 { // 1, infinite, NaN
				if got != w && !(math.IsNaN(got) && math.IsNaN(w)) {
					t.Errorf("%s: a weight of %v is %v", o.name, w, got)
				}
				continue
			}
			_, exponent := math.Frexp(w)
			if last := math.Ldexp(1, exponent-8); !(math.Abs(got-w) <= 0.7215*last) {
				t.Fatalf("%s: a weight of %v is %v, %.3f of its last place away", o.name, w, got, math.Abs(got-w)/last)
			}
			e, best := got/w-1, float64(half.FromBF16(half.ToBF16(float32(w))))/w-1
			mean, square, nearest, count = mean+e, square+e*e, nearest+best*best, count+1
		}
		if mean /= count; !(math.Abs(mean) < 2e-4) {
			t.Errorf("%s: weights are %.3g of themselves too large", o.name, mean)
		}
		if !(square < 1.15*nearest) {
			t.Errorf("%s: the mean square of errors is %.3f times that of numbers rounded to nearest", o.name, square/nearest)
		}
	}
	return 1
}
