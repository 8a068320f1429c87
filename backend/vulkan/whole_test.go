package vulkan

import (
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// wholes are matrices of workgroups as a device may list them, those that no kernel uses among them.
var wholes = []granules{
	{matrix{64, 64, 16, "f16", "f16", "f16"}, 256, 1024}, {matrix{32, 32, 16, "f16", "f16", "f32"}, 128, 1024},
	{matrix{64, 64, 16, "f16", "f16", "f32"}, 256, 1024}, {matrix{32, 32, 16, "bf16", "bf16", "f32"}, 128, 1024},
	{matrix{64, 64, 32, "u8", "u8", "u32"}, 256, 1024},
}

// A device uses matrices of workgroups where it is asked to; they come behind the forms for few calls.
func TestFormsOfWorkgroups(t *testing.T) {
	info := Info{matrices: shapes, workgroups: wholes, Subgroup: [3]int{32, 32, 32},
		Limits: Limits{Invocations: 1024, Shared: 48 << 10}}
	want := []string{"matmul_coopmat2 f16: 64x64x64 128x128x64 128x256x64", "matmul_coopmat2 bf16: 64x64x64"}
	if info.choose(false); !slices.Equal(info.OnRequest, want) || slices.Contains(info.Alternatives, want[0]) {
		t.Errorf("on request %v, else %v; want %v on request", info.OnRequest, info.Alternatives, want)
	}
	info.choose(true)
	at := func(name string) int {
		return slices.IndexFunc(info.Alternatives, func(a string) bool { return strings.HasPrefix(a, name+" ") })
	}
	if i := at("matmul_coopmat2"); len(info.OnRequest) > 0 || i < at("matmul_split_coopmat") || i < at("matmul_gemv") ||
		i > at("matmul_coopmat") {
		t.Errorf("%v, and on request %v", info.Alternatives, info.OnRequest)
	}
	d, _ := shaders.Find("matmul")
	for _, list := range [][]granules{
		nil, wholes[:1], {{matrix{48, 64, 16, "f16", "f16", "f32"}, 128, 1024}}, // sizes that no tile is a multiple of
		{{matrix{16, 16, 16, "f16", "f16", "f32"}, 512, 1024}}, {{matrix{16, 16, 16, "f16", "f16", "f32"}, 256, 64}},
	} {
		if forms := forms(d, nil, 32, list, info.Limits, false); len(forms) != 2 { // for few rows, and plain
			t.Errorf("%v: %d forms, the first is %s %s", list, len(forms), forms[0].name, forms[0].about)
		}
	}
}

// Which calls run so, and with which tile.
func TestCallsOfWorkgroups(t *testing.T) {
	for _, c := range []struct {
		name    string
		m, n, k int
		at      int // where a begins, in elements
		c, a, b tensor.DType
		refuse  bool
		shader  string
		tile    [4]uint32 // the pipeline's
	}{
		{"few workgroups", 256, 512, 32, 0, tensor.F16, tensor.F16, tensor.F16, false, "matmul_coopmat2", [4]uint32{128, 64, 64, 64}},
		{"more", 2048, 1024, 32, 0, tensor.F16, tensor.F16, tensor.F16, false, "matmul_coopmat2", [4]uint32{256, 128, 128, 64}},
		{"many", 2048, 2048, 32, 0, tensor.F32, tensor.F16, tensor.F16, false, "matmul_coopmat2", [4]uint32{256, 128, 256, 64}},
		{"bf16", 2048, 2048, 32, 0, tensor.F32, tensor.BF16, tensor.BF16, false, "matmul_coopmat2", [4]uint32{128, 64, 64, 64}},
		{"refused", 2048, 1024, 32, 0, tensor.F16, tensor.F16, tensor.F16, true, "matmul_coopmat", [4]uint32{256, 128, 128, 32}},
		{"to be rounded", 512, 512, 32, 0, tensor.F16, tensor.F16, tensor.F32, false, "matmul_coopmat", [4]uint32{128, 64, 64, 32}},
		{"packed", 512, 512, 32, 0, tensor.F16, tensor.F16, tensor.Q8, false, "matmul_coopmat", [4]uint32{128, 64, 64, 32}},
		{"to another type", 512, 512, 32, 0, tensor.BF16, tensor.F16, tensor.F16, false, "matmul_coopmat", [4]uint32{128, 64, 64, 32}},
		{"m", 508, 512, 32, 0, tensor.F16, tensor.F16, tensor.F16, false, "matmul_coopmat", [4]uint32{128, 64, 64, 32}},
		{"n", 512, 508, 32, 0, tensor.F16, tensor.F16, tensor.F16, false, "matmul_coopmat", [4]uint32{128, 64, 64, 32}},
		{"k", 512, 512, 28, 0, tensor.F16, tensor.F16, tensor.F16, false, "matmul_coopmat", [4]uint32{128, 64, 64, 32}},
		{"misaligned", 512, 512, 32, 4, tensor.F16, tensor.F16, tensor.F16, false, "matmul_coopmat", [4]uint32{128, 64, 64, 32}},
	} {
		hw := newNull()
		hw.shapes, hw.granules = shapes, wholes
		if c.refuse {
			hw.refused = []uint32{256, 128, 128, 64}
		}
		var trace strings.Builder
		d := tensor.NewDevice(newBackend(hw, Options{Profile: &trace}))
		a := d.New(c.a, c.m*c.k+c.at).View(c.at, c.m, c.k)
		d.Run(kernels.Matmul{Batch: 1, M: c.m, N: c.n, K: c.k}, d.New(c.c, c.m, c.n), a, d.New(c.b, c.k, c.n), nil)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(trace.String(), `"name":"`+c.shader+`"`) || len(hw.pipelines) != 1 ||
			!slices.Equal(hw.pipelines[0][:4], c.tile[:]) {
			t.Errorf("%s: %d pipelines, %v, trace %s; want %s with %v", c.name, len(hw.pipelines), hw.pipelines, trace.String(),
				c.shader, c.tile)
		}
	}
}

// A tile that no workgroup of the device computes is refused: a driver might do anything with it.
func TestTilesOfWorkgroupsAreChecked(t *testing.T) {
	hw := newNull()
	hw.granules = wholes
	d := tensor.NewDevice(newBackend(hw, Options{Tiles: map[string]shaders.Tile{"matmul_coopmat2": {256, 96, 128, 64}}}))
	d.Run(kernels.Matmul{Batch: 1, M: 64, N: 64, K: 64}, d.New(tensor.F16, 64, 64), d.New(tensor.F16, 64, 64),
		d.New(tensor.F16, 64, 64), nil)
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "no matrices of workgroups for matmul_coopmat2 with tile [256 96 128 64]") {
		t.Errorf("error %v", err)
	}
}
