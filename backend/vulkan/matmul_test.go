//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// Matrices in f16 multiply on every form and tile as they do on the CPU, around the tiles' edges;
// the trace says that it is this form that ran.
func TestMatmulForms(t *testing.T) {
	type form struct {
		shader string
		tile   shaders.Tile
		whole  bool // with all transposes; software takes seconds to compile one
	}
	matmul, _ := shaders.Find("matmul")
	var list []form
	for _, tile := range matmul.Tiles {
		list = append(list, form{"matmul", tile, true})
	}
	for _, a := range matmul.Alternatives {
		if a.Takes != nil {
			continue // as few rows as TestFewRows has
		}
		for i, tile := range a.Tiles {
			list = append(list, form{a.Name, tile, i == 0})
		}
		// As subgroups stand on devices where they are larger: one, two, and four of them.
		for _, tile := range []shaders.Tile{{8, 16, 16, 16}, {16, 16, 32, 16}, {32, 32, 32, 16}} {
			list = append(list, form{a.Name, tile, false})
		}
	}
	for _, f := range list {
		t.Run(fmt.Sprintf("%s %v", f.shader, f.tile), func(t *testing.T) {
			var trace bytes.Buffer
			b := open(t, vulkan.Options{Profile: &trace, Plain: f.shader == "matmul",
				Tiles: map[string]shaders.Tile{f.shader: f.tile}})
			if f.shader != "matmul" {
				needs(t, f.shader)
			}
			subject := tensor.NewDevice(b)
			p := pair{subject, tensor.NewDevice(plainCPU(t)), 8}
			bm, bn, bk := int(f.tile[1]), int(f.tile[2]), int(f.tile[3])
			calls := 0
			for i, s := range [][3]int{{bm, bn, bk}, {bm + 1, 1, bk - 1}, {1, bn + 1, bk + 1},
				{bm - 1, 2*bn + 3, 2*bk + 2}, {7, 5, 3}} {
				p.margin = 8 - 3*(i%2) // addresses that allow loads of four elements, and others
				k := kernels.Matmul{Batch: 1 + i%2, M: s[0], N: s[1], K: s[2], BiasRows: 1, TransB: true, Acc: true}
				if i%3 != 1 {
					k.BiasRows = k.Batch * k.M
				}
				if f.whole {
					k.TransA, k.TransB, k.Acc = i%4 >= 2, i%2 == 1, i%2 == 0
				}
				p.run(t, k, normal(), tensor.F16, tensor.F16, tensor.F16, tensor.F32)
				calls++
			}
			if err := subject.Close(); err != nil {
				t.Fatal(err)
			}
			if ran := dispatches(t, &trace)[f.shader]; ran != calls {
				t.Errorf("%s ran %d times, want %d", f.shader, ran, calls)
			}
		})
	}
}

// Sizes whose steps are taken whole, without a look at what is there, on both forms: with rows and columns beside the
// tiles, a part of a step behind them, and every storage. Integers are exact in all of them; one of 16 is -8, so that
// Q4's scale is 1.
func TestMatmulInWholeSteps(t *testing.T) {
	matmul, _ := shaders.Find("matmul")
	t.Run("matmul", func(t *testing.T) { multipliesInWholeSteps(t, "matmul", matmul.Tiles[0]) })
	t.Run("matmul_coopmat", func(t *testing.T) {
		needs(t, "matmul_coopmat")
		multipliesInWholeSteps(t, "matmul_coopmat", matmul.Alternatives[len(matmul.Alternatives)-1].Tiles[0])
	})
}

// Invocations with as many sums as those of the wide tile, which shares more than software has.
func TestSumsOfWideTiles(t *testing.T) {
	p := pair{openDevice(t, vulkan.Options{Plain: true, Tiles: map[string]shaders.Tile{"matmul": {16, 64, 32, 4}}}),
		tensor.NewDevice(plainCPU(t)), 8}
	for _, trans := range []bool{false, true} { // along k and along m and n
		k := kernels.Matmul{Batch: 2, M: 72, N: 40, K: 12, TransA: trans, TransB: !trans, Acc: trans}
		p.run(t, k, normal(), tensor.F32, tensor.F32, tensor.F32, absent)
		k.N, k.BiasRows = 39, k.Batch*k.M
		p.run(t, k, normal(), tensor.F32, tensor.F32, tensor.F32, tensor.F32)
	}
}

func multipliesInWholeSteps(t *testing.T, shader string, tile shaders.Tile) {
	r, count := random.NewStream(9, random.Test, 0, 0), 0
	integers := func() float64 {
		if count++; count%16 == 0 {
			return -8
		}
		return float64(r.IntN(16) - 8)
	}
	var trace bytes.Buffer
	subject := tensor.NewDevice(open(t, vulkan.Options{Profile: &trace, Plain: shader == "matmul",
		Tiles: map[string]shaders.Tile{shader: tile}}))
	p := pair{subject, tensor.NewDevice(plainCPU(t)), 32} // an address that all loads allow, and between blocks
	calls := 0
	for _, c := range []struct {
		layouts string
		types   [3]tensor.DType
	}{
		{"NT NN TN TT", [3]tensor.DType{tensor.F16, tensor.F16, tensor.F16}},
		{"NN", [3]tensor.DType{tensor.F32, tensor.F16, tensor.F16}},
		{"TN", [3]tensor.DType{tensor.F16, tensor.F32, tensor.F16}},
		{"NN", [3]tensor.DType{tensor.F16, tensor.F16, tensor.F32}},
		{"NT NN", [3]tensor.DType{tensor.F16, tensor.F16, tensor.Q4}},
	} {
		for _, layout := range strings.Fields(c.layouts) {
			k := kernels.Matmul{Batch: 2, M: 72, N: 96, K: 72, TransA: layout[0] == 'T', TransB: layout[1] == 'T'}
			if c.types[2] == tensor.Q4 {
				k.K = 96
			}
			p.run(t, k, integers, c.types[0], c.types[1], c.types[2], absent)
			calls++
		}
	}
	if err := subject.Close(); err != nil {
		t.Fatal(err)
	}
	if ran := dispatches(t, &trace)[shader]; ran != calls {
		t.Errorf("%s ran %d times, want %d", shader, ran, calls)
	}
}

// Where no pipeline may ask for a size of subgroups, matrices multiply in those of the device's own.
func TestMatricesInSubgroupsOfTheDevice(t *testing.T) {
	needs(t, "matmul_coopmat")
	var trace bytes.Buffer
	b := open(t, vulkan.Options{Profile: &trace})
	if size := vulkan.DefaultSubgroups(b, 8); size != 0 { // the product would be right: lavapipe gives what is asked for
		t.Errorf("a pipeline asks for subgroups of %d", size)
	}
	p := pair{tensor.NewDevice(b), tensor.NewDevice(plainCPU(t)), 32}
	p.run(t, kernels.Matmul{Batch: 1, M: 72, N: 96, K: 72, TransB: true}, normal(), tensor.F16, tensor.F16, tensor.F16, absent)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if ran := dispatches(t, &trace)["matmul_coopmat"]; ran != 1 {
		t.Errorf("matmul_coopmat ran %d times", ran)
	}
}

// The driver is asked for the size that a pipeline needs, and for none where none may be asked for: the validation layer
// complains of a size beyond the device's in the one case and has nothing to say in the other.
func TestPipelinesAskForTheirSubgroups(t *testing.T) {
	needs(t, "matmul_coopmat")
	if os.Getenv(vulkan.ValidateVariable) != "1" {
		t.Skip("there is no validation layer")
	}
	const never = 1 << 10 // invocations of a subgroup, by any driver
	b := open(t, vulkan.Options{})
	if err := vulkan.MakeInSubgroups(b, never); err == nil || !strings.Contains(err.Error(), "requiredSubgroupSize") {
		t.Errorf("a pipeline in subgroups of %d: want a word on requiredSubgroupSize, got %v", never, err)
	}
	vulkan.DefaultSubgroups(b, never)
	if err := vulkan.MakeInSubgroups(b, never); err != nil {
		t.Errorf("a pipeline in the device's own subgroups: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// Long sums of few rows or columns, which subgroups divide among them: whole steps and what is left behind them, rows
// and columns beside the tiles, and what has bias or is added to. Integers are exact.
func TestThinProducts(t *testing.T) {
	const shader = "matmul_split_coopmat"
	needs(t, "matmul_coopmat")
	r := random.NewStream(9, random.Test, 0, 0)
	integers := func() float64 { return float64(r.IntN(5) - 2) }
	var trace bytes.Buffer
	subject := tensor.NewDevice(open(t, vulkan.Options{Profile: &trace,
		Tiles: map[string]shaders.Tile{shader: {16, 16, 16, 16}}})) // two subgroups of eight
	p := pair{subject, tensor.NewDevice(plainCPU(t)), 32}
	calls := 0
	for _, c := range []struct {
		layout  string
		m, n, k int
		acc     bool
		bias    tensor.DType
		rows    int // of bias
	}{
		{"NT", 40, 24, 16 * 19, false, absent, 0}, {"NT", 33, 24, 16*19 + 8, false, absent, 0},
		{"NT", 3, 5, 261, false, absent, 0}, {"TN", 24, 40, 256, true, absent, 0},
		{"NN", 40, 24, 272, true, tensor.F16, 1}, {"NN", 33, 23, 272, true, tensor.F16, 66},
	} {
		k := kernels.Matmul{Batch: 2, M: c.m, N: c.n, K: c.k, BiasRows: c.rows, TransA: c.layout[0] == 'T',
			TransB: c.layout[1] == 'T', Acc: c.acc}
		p.run(t, k, integers, tensor.F32, tensor.F16, tensor.F16, c.bias)
		calls++
	}
	// Short sums are left to others.
	p.run(t, kernels.Matmul{Batch: 1, M: 8, N: 8, K: 248, TransB: true}, integers, tensor.F32, tensor.F16, tensor.F16,
		absent)
	if err := subject.Close(); err != nil {
		t.Fatal(err)
	}
	if ran := dispatches(t, &trace)[shader]; ran != calls {
		t.Errorf("%s ran %d times, want %d", shader, ran, calls)
	}
}

// needs skips a test of products by cooperative matrices where the device has none; with
// AGORA_REQUIRE_COOPERATIVE=1 that is a failure.
func needs(t *testing.T, shader string) {
	t.Helper()
	switch {
	case offers(t, shader):
	case os.Getenv("AGORA_REQUIRE_COOPERATIVE") == "1":
		t.Fatal("AGORA_REQUIRE_COOPERATIVE=1: the device has no cooperative matrices")
	default:
		t.Skip("the device has no cooperative matrices")
	}
}

// offers reports whether the device that open opens has this alternative.
func offers(t *testing.T, shader string) bool {
	t.Helper()
	if err := open(t, vulkan.Options{}).Close(); err != nil { // skips where there is no device
		t.Fatal(err)
	}
	list, err := vulkan.Devices()
	if err != nil {
		t.Fatal(err)
	}
	best, err := vulkan.Best(list, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range best.Alternatives {
		if len(a) > len(shader) && a[:len(shader)] == shader {
			return true
		}
	}
	return false
}

// dispatches counts what a trace says has run, by name.
func dispatches(t *testing.T, trace *bytes.Buffer) map[string]int {
	t.Helper()
	var r struct {
		TraceEvents []struct{ Name string }
	}
	if err := json.Unmarshal(trace.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, e := range r.TraceEvents {
		counts[e.Name]++
	}
	return counts
}
