//go:build cgo && linux && (amd64 || arm64)

package vulkantest

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/agora-ml/agora/shaders"
)

const f32, f16, bf16, absent = 0, 1, 2, -1 // storage, or no tensor

// tolerance of a result is relative: the rounding of a stored result, half a unit in the last place, and what f32 sums lose;
// 1e-5 comes on top, for sums that cancel.
var tolerance = []float64{f32: 3e-6, f16: 1.01 / (1 << 11), bf16: 1.01 / (1 << 8)}

var shared = sync.OnceValues(func() (*device, error) { return open(16 << 20) })

// testDevice is the one device of all tests; any message of the validation layer fails the test.
func testDevice(t *testing.T) *device {
	d, err := shared()
	if err != nil && os.Getenv("AGORA_REQUIRE_VULKAN") == "1" {
		t.Fatal("AGORA_REQUIRE_VULKAN=1, but no Vulkan device: ", err)
	} else if err != nil {
		t.Skip("no Vulkan device: ", err)
	}
	t.Cleanup(func() {
		if m := messages(); m != "" {
			t.Error("validation: ", m)
		}
	})
	return d
}

// run fills the inputs of k by the generator, runs it, and compares what it wrote with want:
// a function that turns the arguments (outputs as before the run) into the outputs.
// Nothing else in the device's memory may change.
func run(t *testing.T, k shaders.Kernel, tile shaders.Tile, storage []int, value func() float64, want func(args [][]float64)) {
	t.Helper()
	d := testDevice(t)
	desc, _ := shaders.Find(k.Name())
	for i := range d.memory {
		d.memory[i] = 0xff // NaN in every storage type
	}
	args, values, end := make([]arg, len(storage)), make([][]float64, len(storage)), 0
	for i, n := range k.Lens() {
		if args[i].offset = -1; storage[i] == absent {
			continue
		}
		end += 68 // guard words, and an address that is a multiple of 4 alone
		args[i] = arg{end, uint32(storage[i])}
		data := d.memory[end:end]
		for j := range n {
			if desc.Args[i].Read {
				data = encode(storage[i], data, value())
			} else {
				data = data[:len(data)+4>>min(storage[i], 1)]
			}
			values[i] = append(values[i], decode(storage[i], d.memory[end:], j))
		}
		end += (len(data) + 3) &^ 3
	}
	before := bytes.Clone(d.memory[:end+64])
	if err := d.run(k, tile, args); err != nil {
		t.Fatal(err)
	}
	want(values)
	for i, a := range args {
		if !desc.Args[i].Written || a.offset < 0 {
			continue
		}
		for j, w := range values[i] {
			got := decode(storage[i], d.memory[a.offset:], j)
			if !(math.Abs(got-w) <= 1e-5+tolerance[storage[i]]*math.Abs(w)) {
				t.Fatalf("%+v, storage %v: %s[%d] = %v, want %v", k, storage, desc.Bindings[i], j, got, w)
			}
		}
		size := len(values[i]) * 4 >> min(storage[i], 1)
		copy(before[a.offset:a.offset+size], d.memory[a.offset:])
	}
	if !bytes.Equal(before, d.memory[:len(before)]) {
		t.Fatalf("%+v, storage %v: wrote outside its outputs", k, storage)
	}
}

// uniform gives numbers of [-2, 2), always the same ones.
func uniform() func() float64 {
	r := rand.New(rand.NewPCG(1, 2))
	return func() float64 { return 4*r.Float64() - 2 }
}

func TestAdd(t *testing.T) {
	for _, storage := range [][]int{{f32, f32, f32}, {f16, f16, bf16}} {
		for _, tile := range []uint32{64, 1} { // 1: more groups than one dimension takes
			run(t, shaders.Add{N: 70_035, M: 23_345}, shaders.Tile{tile, 4 * tile}, storage, uniform(), func(args [][]float64) {
				for i, a := range args[1] {
					args[0][i] = a + args[2][i%len(args[2])]
				}
			})
		}
	}
}

func TestMatmul(t *testing.T) {
	sizes := [][3]int{{1, 1, 1}, {31, 33, 5}, {32, 32, 32}, {33, 31, 37}, {65, 1, 64}}
	for transposes := range 4 {
		for i, s := range sizes {
			k := shaders.Matmul{Batch: 1 + i%2, M: s[0], N: s[1], K: s[2], TransA: transposes&1 != 0, TransB: transposes&2 != 0, Acc: i%2 == 0}
			storage := []int{f32, f32, f32, []int{f32, absent}[i/2%2]}
			if i == 3 {
				storage = []int{f16, f32, bf16, f32}
			}
			desc, _ := shaders.Find("matmul")
			run(t, k, desc.Tile, storage, uniform(), func(args [][]float64) { matmul(k, args[0], args[1], args[2], args[3]) })
		}
	}
}

// matmul is what the header says, in float64.
func matmul(k shaders.Matmul, c, a, b, bias []float64) {
	for z := range k.Batch {
		for i := range k.M {
			for j := range k.N {
				at := (z*k.M+i)*k.N + j
				sum := 0.0
				if k.Acc {
					sum = c[at]
				}
				if bias != nil {
					sum += bias[j]
				}
				for l := range k.K {
					ai, bi := (z*k.M+i)*k.K+l, (z*k.K+l)*k.N+j
					if k.TransA {
						ai = (z*k.K+l)*k.M + i
					}
					if k.TransB {
						bi = (z*k.N+j)*k.K + l
					}
					sum += a[ai] * b[bi]
				}
				c[at] = sum
			}
		}
	}
}

func TestRMSNorm(t *testing.T) {
	for _, storage := range [][]int{{f32, f32, f32, f32}, {bf16, absent, bf16, f16}} {
		for _, dim := range []int{1, 63, 64, 65, 300} {
			k, tile := shaders.RMSNorm{Rows: 3, Dim: dim, Eps: 0.25}, shaders.Tile{48}
			if dim == 1 {
				k.Rows, tile = 131_071, shaders.Tile{1} // a folded grid with an idle workgroup
			}
			run(t, k, tile, storage, uniform(), func(args [][]float64) {
				for r := range k.Rows {
					squares := 0.0
					for _, x := range args[2][r*dim:][:dim] {
						squares += x * x
					}
					rstd := 1 / math.Sqrt(squares/float64(dim)+float64(k.Eps))
					if args[1] != nil {
						args[1][r] = rstd
					}
					for j := range dim {
						args[0][r*dim+j] = args[2][r*dim+j] * rstd * args[3][j]
					}
				}
			})
		}
	}
}
