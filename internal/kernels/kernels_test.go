package kernels

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/shaders/kernelcode"
)

func TestPush(t *testing.T) {
	got, err := Dropout{N: 7, P: 0.5, Key0: math.MaxUint32, Step: 3, Op: 4}.Push([]byte("before"))
	want := []byte("before")
	for _, v := range []uint32{7, math.Float32bits(0.5), math.MaxUint32, 0, 3, 4} {
		want = binary.LittleEndian.AppendUint32(want, v)
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
}

func TestPushRefuses(t *testing.T) {
	big := 1 << 20
	for _, c := range []struct {
		kernel shaders.Kernel
		want   string
	}{
		{Add{N: -1, M: 1}, "add: N is -1, want 0 to 4294967295"},
		{Copy{XOffset: big * big}, "copy: XOffset is 1099511627776, want"},
		{Attention{HeadDim: -8}, "attention: HeadDim is -8"},
		{Unary{N: 1, Func: 9}, "unary: Func is 9, want 0 to 8"},
		{RMSNorm{Rows: big, Dim: 2048}, "rms_norm: y has 2147483648 elements, want at most 2147483647"},
		{Permute{D0: big, D1: big, D2: big, D3: big, D4: big, D5: big}, "permute: y has 9223372036854775807 elements"},
		{Matmul{Batch: 2, M: 3, BiasRows: 3}, "matmul: BiasRows is 3, want one of 0, 1, 6"},
		{SumSquares{N: 1}, "sum_squares: partial has 9223372036854775807 elements"}, // Block is missing
	} {
		if b, err := c.kernel.Push(nil); b != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.kernel, err, c.want)
		}
	}
	if _, err := (RMSNorm{Rows: big, Dim: 2047}).Push(nil); err != nil {
		t.Errorf("less than 2^31 elements: %v", err)
	}
}

func TestGrid(t *testing.T) {
	for _, c := range []struct {
		kernel shaders.Kernel
		tile   shaders.Tile
		want   [3]uint32
	}{
		{Add{N: 0}, shaders.Tile{16, 64}, [3]uint32{0, 1, 1}},
		{Add{N: 64}, shaders.Tile{16, 64}, [3]uint32{1, 1, 1}},
		{Add{N: 65}, shaders.Tile{16, 64}, [3]uint32{2, 1, 1}},
		{Softmax{Rows: 65535}, shaders.Tile{}, [3]uint32{65535, 1, 1}},
		{Softmax{Rows: 65537}, shaders.Tile{}, [3]uint32{32769, 2, 1}},
		{ClipFactor{N: 99}, shaders.Tile{}, [3]uint32{1, 1, 1}},
		{Matmul{Batch: 3, M: 33, N: 64, K: 9}, shaders.Tile{64, 16, 32}, [3]uint32{2, 3, 3}},
		{Attention{Batch: 2, T: 5, Heads: 4}, shaders.Tile{64, 2}, [3]uint32{3, 4, 2}},
	} {
		if got := c.kernel.Grid(c.tile); got != c.want {
			t.Errorf("%+v with tile %v: got %v, want %v", c.kernel, c.tile, got, c.want)
		}
	}
	for _, n := range []int{1, 65535, 65536, 1 << 20, math.MaxInt32} {
		g := kernelcode.Fold(n)
		if g[0] > 65535 || g[1] > 65535 || int(g[0])*int(g[1]) < n || int(g[0])*int(g[1]) >= n+int(g[1]) {
			t.Errorf("Fold(%d) = %v", n, g)
		}
	}
}

func TestConstsAndLens(t *testing.T) {
	m := Matmul{Batch: 2, M: 3, N: 4, K: 5, BiasRows: 6, TransB: true}
	if got := m.Consts(); !slices.Equal(got, []uint32{0, 1, 0}) {
		t.Errorf("consts %v", got)
	}
	if got := m.Lens(nil); !slices.Equal(got, []int{24, 30, 40, 24}) {
		t.Errorf("lens %v", got)
	}
	if got := (SumSquares{N: 9, Block: 4}).Lens(nil); !slices.Equal(got, []int{3, 9}) {
		t.Errorf("lens %v", got)
	}
	if got := (Copy{Rows: 9}).Lens(nil); !slices.Equal(got, []int{-1, -1}) {
		t.Errorf("lens %v", got)
	}
	if got := (UnaryGrad{Func: FuncSiLU}).Consts(); !slices.Equal(got, []uint32{8}) {
		t.Errorf("consts %v", got)
	}
	if got := FuncGELUTanh.String(); got != "GELUTanh" {
		t.Errorf("name %s", got)
	}
}

func TestKernels(t *testing.T) {
	if len(shaders.All()) < 41 {
		t.Errorf("%d kernels", len(shaders.All()))
	}
	for _, d := range shaders.All() {
		found, ok := shaders.Find(d.Name)
		if !ok || found.Name != d.Name {
			t.Errorf("Find(%q) = %q, %v", d.Name, found.Name, ok)
		}
		if len(d.Args) != len(d.Bindings) || d.Tiles[0][0] == 0 || d.TileNames[0] != "group" {
			t.Errorf("%+v", d)
		}
		if d.SPIRV != nil && len(d.SPIRV()) == 0 {
			t.Errorf("%s: no SPIR-V", d.Name)
		}
	}
	if _, ok := shaders.Find("no_such_kernel"); ok {
		t.Error("found a kernel that is not there")
	}
	add, _ := shaders.Find("add")
	if !slices.Equal(add.InPlace, [][2]int{{0, 1}}) {
		t.Errorf("add works in place as %v, want y in a", add.InPlace)
	}
}
