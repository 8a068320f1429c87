package vulkan

import (
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// shapes as a device may list them, those that no kernel uses among them.
var shapes = []matrix{
	{16, 8, 8, "f16", "f16", "f32"}, {16, 16, 16, "f16", "f16", "f16"}, {16, 16, 16, "f16", "f16", "f32"},
	{16, 8, 16, "f16", "f16", "f32"},
	{16, 16, 16, "bf16", "bf16", "f32"}, {16, 16, 32, "u8", "u8", "u32"},
}

func TestFormsOfDevices(t *testing.T) {
	d, _ := shaders.Find("matmul")
	l := Limits{Invocations: 1024, Shared: 48 << 10}
	const few = "matmul_gemv, "
	names := func(list []*form) string {
		var s []string
		for _, f := range list {
			s = append(s, strings.TrimSpace(f.name+" "+f.matrix.a))
			if (f.name != "matmul") != f.alternative {
				t.Errorf("%s is an alternative: %t", f.name, f.alternative)
			}
			if f.subgroup != 0 && f.matrix.size() != 16*16*16 {
				t.Errorf("shape %v, want 16 x 16 x 16", f.matrix)
			}
		}
		return strings.Join(s, ", ")
	}
	for _, c := range []struct {
		shapes   []matrix
		subgroup int
		l        Limits
		want     string
	}{
		{shapes, 32, l, few + "matmul_split_coopmat f16, matmul_split_coopmat bf16, matmul_coopmat f16, " +
			"matmul_coopmat bf16, matmul"},
		{shapes[:4], 64, l, few + "matmul_split_coopmat f16, matmul_coopmat f16, matmul"},
		{shapes[1:2], 32, l, few + "matmul"},
		{nil, 32, l, few + "matmul"},
		{shapes, 512, l, few + "matmul"}, // wider than a workgroup of the tiles
		{shapes, 48, l, few + "matmul"},  // not a power of two of them
		{shapes, 32, Limits{Invocations: 64, Shared: 48 << 10}, few + "matmul"},
		{shapes, 32, Limits{Invocations: 32, Shared: 48 << 10}, "matmul"},
	} {
		if got := names(forms(d, c.shapes, c.subgroup, nil, c.l, false)); got != c.want {
			t.Errorf("shapes %v, subgroups of %d, %+v: %s; want %s", c.shapes, c.subgroup, c.l, got, c.want)
		}
	}
	l.Registers = 256 // with few, two subgroups share rows
	info := Info{matrices: shapes, Subgroup: [3]int{32, 32, 32}, Limits: l}
	half, software := info, info
	half.matrices, software.Kind = shapes[:4], KindCPU
	for _, c := range []struct {
		of   Info
		dt   tensor.DType
		want bool
	}{
		{info, tensor.BF16, true}, {info, tensor.F16, true}, {info, tensor.F32, false}, {half, tensor.BF16, false},
		{half, tensor.F16, true}, {software, tensor.F16, false}, {Info{Limits: l}, tensor.F16, false},
	} {
		if got := c.of.Multiplies(c.dt); got != c.want {
			t.Errorf("%s of %d shapes on a %s: %t", c.dt, len(c.of.matrices), c.of.Kind, got)
		}
	}
	if info.choose(false); !slices.Equal(info.Alternatives, []string{
		"attention_few t<=8 head_dim%4 head_dim<=256 aligned", "attention_coopmat f16: 16x16x16", "attention_coopmat bf16: 16x16x16",
		"attention_grad_kv_coopmat f16: 16x16x16", "attention_grad_kv_coopmat bf16: 16x16x16",
		"attention_grad_q_coopmat f16: 16x16x16", "attention_grad_q_coopmat bf16: 16x16x16",
		"matmul_gemv m<=8 !trans_a trans_b",
		"matmul_split_coopmat f16: 16x16x16", "matmul_split_coopmat bf16: 16x16x16",
		"matmul_coopmat f16: 16x16x16", "matmul_coopmat bf16: 16x16x16",
	}) {
		t.Errorf("alternatives %v", info.Alternatives)
	}
}

// A device has enough workgroups when each of its processors has one: then tiles are as large as they may be.
func TestTilesFollowTheProcessors(t *testing.T) {
	for _, c := range []struct {
		processors int
		software   bool
		m, n       int
		want       [3]uint32
	}{
		{0, false, 1024, 2048, [3]uint32{16, 8, 1}}, {0, false, 1024, 1920, [3]uint32{30, 16, 1}},
		{64, false, 1024, 1024, [3]uint32{8, 8, 1}}, {65, false, 1024, 1024, [3]uint32{16, 16, 1}},
		{257, false, 1024, 1024, [3]uint32{32, 32, 1}},
		// Software wants four workgroups of a processor.
		{2, true, 512, 256, [3]uint32{2, 4, 1}}, {2, true, 512, 128, [3]uint32{2, 8, 1}}, {2, true, 128, 128, [3]uint32{4, 4, 1}},
		// A tile is no wider or higher than what it covers, to the next half.
		{64, false, 1 << 15, 32, [3]uint32{1, 1024, 1}}, {64, false, 1 << 15, 33, [3]uint32{1, 512, 1}},
		{64, false, 1 << 15, 64, [3]uint32{1, 512, 1}}, {64, false, 1 << 15, 65, [3]uint32{1, 256, 1}},
		{64, false, 48, 1 << 15, [3]uint32{512, 1, 1}},
	} {
		hw := newNull()
		hw.units, hw.slow = c.processors, c.software
		b := newBackend(hw, Options{})
		k, err := b.kernel("matmul")
		if err != nil {
			t.Fatal(err)
		}
		args := []tensor.Arg{{Buf: &buffer{}}, {Buf: &buffer{}}, {Buf: &buffer{}}, {}}
		p, err := b.prepare(k, kernels.Matmul{Batch: 1, M: c.m, N: c.n, K: 64}, args)
		if err != nil || p.groups != c.want {
			t.Errorf("%+v: workgroups %v, %v", c, p.groups, err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A tile with twice the sums of an invocation is for devices that have registers for them, and for products that it fills.
func TestTilesFollowTheRegisters(t *testing.T) {
	for _, c := range []struct {
		registers, m int
		want         shaders.Tile
	}{
		{0, 4096, shaders.Tile{256, 128, 128, 16}}, {512, 4096, shaders.Tile{256, 128, 128, 16}},
		{768, 4096, shaders.Tile{512, 256, 256, 16}}, {768, 512, shaders.Tile{256, 128, 128, 16}},
		{768, 128, shaders.Tile{64, 64, 64, 16}},
	} {
		d, _ := shaders.Find("matmul")
		list := forms(d, nil, 64, nil, Limits{Invocations: 1024, Shared: 64 << 10, Registers: c.registers}, false)
		got := list[len(list)-1].tile(kernels.Matmul{Batch: 1, M: c.m, N: 4096, K: 64}, 96)
		if got != c.want {
			t.Errorf("%d registers, %d rows: tile %v, want %v", c.registers, c.m, got, c.want)
		}
	}
}

// Where a device does not say that it has many registers, the gradient of large heads takes fewer an invocation, unless a
// workgroup shares too much memory.
func TestLeanTiles(t *testing.T) {
	large, lean := shaders.Tile{256, 64, 64}, shaders.Tile{256, 128, 32}
	d, _ := shaders.Find("attention_grad_kv")
	d.Alternatives = nil
	for _, c := range []struct {
		registers, headDim int
		software           bool
		want               shaders.Tile
	}{
		{0, 128, false, lean}, {0, 256, false, lean}, {256, 128, false, large}, {0, 64, false, large}, {512, 128, false, large}, {0, 128, true, large},
	} {
		call := kernels.AttentionGradKV{Batch: 4, T: 1024, S: 1024, Heads: 32, KVHeads: 8, HeadDim: c.headDim}
		f := forms(d, nil, 64, nil, Limits{Invocations: 1024, Shared: 64 << 10, Registers: c.registers}, c.software)[0]
		if got := f.tile(call, 96); got != c.want {
			t.Errorf("%+v: tile %v", c, got)
		}
		if c.want == lean && (!f.drop(lean) || f.tile(call, 96) != large) {
			t.Errorf("%+v: tile %v without the lean one, want %v", c, f.tile(call, 96), large)
		}
	}

	shared, own := shaders.Tile{256, 64, 64}, shaders.Tile{128, 64, 32} // of attention with matrices, where subgroups have 32 lanes
	for _, c := range []struct {
		call      tensor.Kernel
		registers int
		subgroup  int
		want      shaders.Tile
	}{
		{kernels.AttentionGradQ{T: 64, HeadDim: 64}, 0, 32, shared}, {kernels.AttentionGradKV{T: 64, HeadDim: 64}, 0, 32, shared},
		{kernels.AttentionGradQ{T: 64, HeadDim: 64}, 256, 32, own}, {kernels.AttentionGradQ{T: 64, HeadDim: 128}, 0, 32, own},
		{kernels.AttentionGradQ{T: 64, HeadDim: 48}, 0, 32, own}, {kernels.AttentionGradQ{T: 64, HeadDim: 64}, 0, 64, shaders.Tile{256, 64, 32}},
		{kernels.Attention{T: 64, HeadDim: 128}, 0, 32, shared}, {kernels.Attention{T: 64, HeadDim: 112}, 0, 32, own},
		{kernels.Attention{T: 64, HeadDim: 64}, 0, 32, own},
	} {
		d, _ := shaders.Find(c.call.Name())
		k := &kernel{Desc: d, forms: forms(d, shapes, c.subgroup, nil, Limits{Invocations: 1024, Shared: 48 << 10, Registers: c.registers}, false)}
		v := variant{}
		v.storage[0] = storages[tensor.F16] - 1
		if f := k.form(v, c.call, nil); f.tile(c.call, 1) != c.want {
			t.Errorf("%+v, %d registers, subgroups of %d: %s, tile %v, want %v", c.call, c.registers, c.subgroup, f.name, f.tile(c.call, 1), c.want)
		}
	}

	// Neither subgroups of another size, of which two could share these rows as well, nor software have it.
	d, _ = shaders.Find("attention_grad_q")
	for _, c := range []struct {
		rows, subgroup int
		software       bool
		want           bool
	}{{16, 32, false, true}, {8, 16, false, false}, {16, 32, true, false}} {
		x := matrix{m: c.rows, n: 16, k: 16, a: "f16", b: "f16", c: "f32"}
		list := forms(d, []matrix{x}, c.subgroup, nil, Limits{Invocations: 1024, Shared: 48 << 10}, c.software)
		if got := slices.ContainsFunc(list, func(f *form) bool { return slices.Contains(f.tiles, shared) && f.sides(shared) == 2 }); got != c.want {
			t.Errorf("%+v: rows are shared: %t", c, got)
		}
	}

	asked := shaders.Tile{128, 64, 32}
	b := newBackend(newNull(), Options{Tiles: map[string]shaders.Tile{"attention_grad_kv": asked}})
	k, err := b.kernel("attention_grad_kv")
	if err != nil {
		t.Fatal(err)
	}
	call := kernels.AttentionGradKV{Batch: 4, T: 1024, S: 1024, Heads: 32, KVHeads: 8, HeadDim: 128}
	if got := k.forms[len(k.forms)-1].tile(call, 96); got != asked {
		t.Errorf("tile %v, asked for was %v", got, asked)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Of short heads there are twice as many columns, and an invocation takes pairs of them from one place on.
func TestTilesThatFitAttention(t *testing.T) {
	f := &form{matrix: matrix{m: 16, n: 8, k: 8}, subgroup: 32}
	for tile, want := range map[shaders.Tile]bool{{128, 64, 32}: true, {128, 64, 64}: true, {128, 64, 48}: false} {
		if got := f.fits(tile, Limits{Invocations: 1024}); got != want {
			t.Errorf("tile %v fits: %v, want %v", tile, got, want)
		}
	}
	f = &form{matrix: matrix{m: 16, n: 16, k: 16}, subgroup: 64}
	for tile, want := range map[shaders.Tile]bool{{512, 128, 64}: true, {512, 128, 32}: false} { // of 32 tiles, looked at together
		if got := f.fits(tile, Limits{Invocations: 1024}); got != want {
			t.Errorf("tile %v fits: %v, want %v", tile, got, want)
		}
	}
}

// Software has tiles of its own for few rows, which are a subgroup of eight wide.
func TestTilesOfSoftware(t *testing.T) {
	d, _ := shaders.Find("matmul")
	for software, want := range map[bool]shaders.Tile{false: {64, 1, 2, 512}, true: {64, 1, 32, 64}} {
		list := forms(d, nil, 8, nil, Limits{Invocations: 1024, Shared: 32 << 10}, software)
		if len(list) != 2 || list[0].name != "matmul_gemv" || list[0].tiles[0] != want {
			t.Errorf("software: %t: %d forms, the first %+v; want matmul_gemv with %v", software, len(list), list[0], want)
		}
		if first := list[1].tiles[0]; first != d.Tiles[0] {
			t.Errorf("software: %t: the other form's first tile is %v, want %v", software, first, d.Tiles[0])
		}
	}
}

// The tile for attention is that of the device's subgroups; others are left to the plain shader. Few queries come first.
func TestFormsOfAttention(t *testing.T) {
	d, _ := shaders.Find("attention")
	l := Limits{Invocations: 1024, Shared: 48 << 10, Registers: 256}
	for subgroup, want := range map[int]uint32{8: 0, 16: 64, 32: 128, 64: 256, 128: 0} {
		list := forms(d, shapes, subgroup, nil, l, false)
		if list[0].name != "attention_few" {
			t.Errorf("subgroups of %d: the first form is %s", subgroup, list[0].name)
		}
		if list = list[1:]; want == 0 && len(list) == 1 {
			continue
		}
		if len(list) != 3 || len(list[0].tiles) != 1 || list[0].tiles[0] != (shaders.Tile{want, 64, 32}) {
			t.Errorf("subgroups of %d: %d forms, tiles %v; want one of %d", subgroup, len(list), list[0].tiles, want)
		}
	}
}

// A device whose matrices hold a factor in every 16 lanes has narrow subgroups for what has registers for them there.
func TestFormsOfNarrowSubgroups(t *testing.T) {
	both, wide := [3]int{64, 32, 64}, [3]int{64, 64, 64}
	list := []string{"16x16x16 f16*f16+f32", "16x16x16 bf16*bf16+f32"}
	for _, c := range []struct {
		asks     bool
		sizes    [3]int
		matrices []string
		want     int
	}{
		{true, both, list, 32}, {false, both, list, 0}, {true, wide, list, 0}, {true, [3]int{32, 32, 64}, list, 0},
		{true, both, nil, 0}, {true, both, append(list, "16x16x16 f8e4m3*f8e4m3+f32"), 0},
	} {
		if got := narrowSubgroup(c.asks, c.sizes, c.matrices); got != c.want {
			t.Errorf("%v, %v, %v: subgroups of %d, want %d", c.asks, c.sizes, c.matrices, got, c.want)
		}
	}
	l := Limits{Invocations: 1024, Shared: 64 << 10, Narrow: 32}
	gradKV := func(headDim int) tensor.Kernel { return kernels.AttentionGradKV{T: 64, HeadDim: headDim} }
	for _, c := range []struct {
		call     tensor.Kernel
		subgroup int
		group    uint32
	}{
		{kernels.Attention{T: 64, HeadDim: 64}, 32, 128}, {kernels.Attention{T: 64, HeadDim: 128}, 32, 128},
		{kernels.AttentionGradQ{T: 64, HeadDim: 128}, 32, 128},
		{gradKV(64), 32, 128}, {gradKV(80), 64, 256}, {gradKV(96), 32, 256}, {gradKV(112), 64, 256}, {gradKV(128), 32, 256},
	} {
		d, _ := shaders.Find(c.call.Name())
		k := &kernel{Desc: d, forms: forms(d, shapes, 64, nil, l, false)}
		v := variant{}
		v.storage[0] = storages[tensor.F16] - 1
		if f := k.form(v, c.call, nil); f.subgroup != c.subgroup || len(f.tiles) != 1 || f.tiles[0][0] != c.group {
			t.Errorf("%+v: %s, subgroups of %d in %v, want %d in one of %d", c.call, f.name, f.subgroup, f.tiles, c.subgroup, c.group)
		}
		d, _ = shaders.Find("matmul")
		if f := forms(d, shapes, 64, nil, l, false)[1]; f.subgroup != 64 {
			t.Errorf("%s has subgroups of %d", f.name, f.subgroup)
		}
	}
}

// Two subgroups share the rows of a tile where a shader can divide its columns and the sums of a head between them.
func TestFormsWithSharedRows(t *testing.T) {
	l := Limits{Invocations: 1024, Shared: 64 << 10}
	for _, c := range []struct {
		kernel string
		matrix int
		tile   shaders.Tile
		want   bool
	}{
		{"attention_grad_kv", 8, shaders.Tile{128, 32, 64}, true}, {"attention_grad_kv", 8, shaders.Tile{64, 32, 64}, true},
		{"attention_grad_kv", 8, shaders.Tile{128, 16, 64}, false}, {"attention_grad_kv", 8, shaders.Tile{256, 64, 64}, false},
		{"attention_grad_kv", 16, shaders.Tile{128, 64, 64}, false}, // half of 80 numbers is no whole matrix
		{"attention", 8, shaders.Tile{128, 64, 32}, true}, {"attention", 8, shaders.Tile{128, 64, 16}, false},
		{"attention_grad_q", 8, shaders.Tile{128, 64, 32}, true}, {"attention_grad_q", 8, shaders.Tile{128, 64, 16}, false},
	} {
		subgroup := c.matrix
		d, _ := shaders.Find(c.kernel)
		x := matrix{m: c.matrix, n: c.matrix, k: c.matrix, a: "f16", b: "f16", c: "f32"}
		list := forms(d, []matrix{x}, subgroup, nil, l, false)
		f := list[len(list)-2]
		if got := f.fits(c.tile, l); f.subgroup != subgroup || got != c.want {
			t.Errorf("%s with %v, subgroups of %d: tile %v fits: %t", f.name, x, f.subgroup, c.tile, got)
		}
	}
}

// A tile that is asked for is that of the form whose subgroups it fits.
func TestFormsOfAskedTiles(t *testing.T) {
	for tile, subgroup := range map[shaders.Tile]int{{64, 64, 32}: 16, {128, 64, 32}: 32} {
		hw := newNull()
		hw.shapes, hw.lim.Narrow = shapes, 16
		b := newBackend(hw, Options{Tiles: map[string]shaders.Tile{"attention_coopmat": tile}})
		k, err := b.kernel("attention")
		if err != nil {
			t.Fatal(err)
		}
		v := variant{}
		v.storage[0] = storages[tensor.F16] - 1
		call := kernels.Attention{T: 64, HeadDim: 64}
		if f := k.form(v, call, nil); f.name != "attention_coopmat" || f.subgroup != subgroup || f.tile(call, 1) != tile {
			t.Errorf("tile %v: %s, subgroups of %d in %v; want %d", tile, f.name, f.subgroup, f.tiles, subgroup)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Long sums with few workgroups are divided among the subgroups of each.
func TestFormsOfThinProducts(t *testing.T) {
	const f16 = tensor.F16
	for _, c := range []struct {
		name    string
		m, n, k int
		shader  string
		groups  [3]uint32
	}{
		{"x Aᵀ", 512, 32, 4096, "matmul_split_coopmat", [3]uint32{1, 32, 1}},
		{"of rank 96", 512, 96, 4096, "matmul_split_coopmat", [3]uint32{3, 32, 1}},
		{"u Bᵀ", 512, 4096, 96, "matmul_coopmat", [3]uint32{32, 4, 1}},
		{"enough workgroups", 512, 4096, 4096, "matmul_coopmat", [3]uint32{32, 4, 1}},
	} {
		hw := newNull()
		hw.shapes = shapes
		b := newBackend(hw, Options{})
		k, err := b.kernel("matmul")
		if err != nil {
			t.Fatal(err)
		}
		args := []tensor.Arg{{DType: f16, Buf: &buffer{}}, {DType: f16, Buf: &buffer{}}, {DType: f16, Buf: &buffer{}}, {}}
		p, err := b.prepare(k, kernels.Matmul{Batch: 1, M: c.m, N: c.n, K: c.k, TransB: true}, args)
		if err != nil {
			t.Fatal(err)
		}
		if p.form.name != c.shader || p.groups != c.groups {
			t.Errorf("%s: %s with workgroups %v, want %s with %v", c.name, p.form.name, p.groups, c.shader, c.groups)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Which shader runs by storage types and sizes, and what it is specialised for.
func TestFormsOfCalls(t *testing.T) {
	for _, c := range []struct {
		name           string
		m              int
		c, a, b        tensor.DType
		plain, refuse  bool
		tile           shaders.Tile // that Options ask for
		shared         int          // that the device has; 0: enough
		shader         string
		group, bm      uint32
		subgroup, rows uint32
		factors        uint32 // 0: not looked at
	}{
		{name: "small", m: 64, c: tensor.F16, a: tensor.F16, b: tensor.F16, shader: "matmul_coopmat", group: 128,
			bm: 64, subgroup: 32, rows: 16},
		{name: "large", m: 4096, c: tensor.F32, a: tensor.BF16, b: tensor.BF16, shader: "matmul_coopmat", group: 256,
			bm: 128, subgroup: 32, rows: 16},
		{name: "packed", m: 64, c: tensor.BF16, a: tensor.BF16, b: tensor.Q8, shader: "matmul_coopmat", group: 128,
			bm: 64, subgroup: 32, rows: 16},
		{name: "what trains", m: 64, c: tensor.BF16, a: tensor.BF16, b: tensor.F32, shader: "matmul_coopmat",
			group: 128, bm: 64, subgroup: 32, rows: 16, factors: 2},
		{name: "its gradient", m: 64, c: tensor.F16, a: tensor.F32, b: tensor.F16, shader: "matmul_coopmat", group: 128,
			bm: 64, subgroup: 32, rows: 16, factors: 1},
		{name: "gradient of logits over a packed head", m: 64, c: tensor.BF16, a: tensor.F32, b: tensor.Q8,
			shader: "matmul_coopmat", group: 128, bm: 64, subgroup: 32, rows: 16, factors: 2},
		{name: "an update of what trains", m: 64, c: tensor.F16, a: tensor.F32, b: tensor.F32, shader: "matmul",
			group: 64, bm: 32},
		{name: "exact result", m: 64, c: tensor.F32, a: tensor.F32, b: tensor.F16, shader: "matmul", group: 64, bm: 32},
		{name: "packed, exact result", m: 64, c: tensor.F32, a: tensor.F16, b: tensor.Q8, shader: "matmul", group: 64,
			bm: 32},
		{name: "two types", m: 64, c: tensor.F16, a: tensor.F16, b: tensor.BF16, shader: "matmul", group: 64, bm: 32},
		{name: "f32", m: 4096, c: tensor.F32, a: tensor.F32, b: tensor.F32, shader: "matmul", group: 256, bm: 128},
		{name: "f32, packed", m: 512, c: tensor.F32, a: tensor.F32, b: tensor.Q4, shader: "matmul", group: 64, bm: 64},
		{name: "plain", m: 64, c: tensor.F16, a: tensor.F16, b: tensor.F16, plain: true, shader: "matmul", group: 64,
			bm: 32},
		{name: "little shared", m: 4096, c: tensor.F16, a: tensor.F16, b: tensor.F16, shared: 16 << 10,
			shader: "matmul_coopmat", group: 128, bm: 64, subgroup: 32, rows: 16},
		{name: "less shared", m: 4096, c: tensor.F16, a: tensor.F16, b: tensor.F16, shared: 9 << 10, shader: "matmul",
			group: 64, bm: 64},
		{name: "refused", m: 4096, c: tensor.F16, a: tensor.F16, b: tensor.F16, refuse: true, shader: "matmul",
			group: 256, bm: 128},
		{name: "tile", m: 64, c: tensor.F16, a: tensor.F16, b: tensor.F16, tile: shaders.Tile{64, 64, 64, 32},
			shader: "matmul_coopmat", group: 64, bm: 64, subgroup: 32, rows: 16},
	} {
		hw := newNull()
		hw.shapes, hw.refuse = shapes, c.refuse
		var trace strings.Builder
		o := Options{Plain: c.plain, Profile: &trace, Limits: Limits{Shared: c.shared}}
		if c.tile[0] != 0 {
			o.Tiles = map[string]shaders.Tile{c.shader: c.tile}
		}
		d := tensor.NewDevice(newBackend(hw, o))
		const n, k = 1024, 32
		d.Run(kernels.Matmul{Batch: 1, M: c.m, N: n, K: k}, d.New(c.c, c.m, n), d.New(c.a, c.m, k), d.New(c.b, k, n),
			nil)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if want := `"name":"` + c.shader + `"`; strings.Count(trace.String(), want) != 1 || len(hw.pipelines) != 1 {
			t.Errorf("%s: %d pipelines, trace %s; want one of %s", c.name, len(hw.pipelines), trace.String(), c.shader)
			continue
		}
		got := hw.pipelines[0]
		if got[0] != c.group || got[1] != c.bm || got[firstMatrix] != c.rows || got[firstMatrix+3] != c.subgroup ||
			c.factors != 0 && got[firstMatrix+4] != c.factors {
			t.Errorf("%s: constants %v", c.name, got)
		}
		groups := hw.submitted[len(hw.submitted)-1].groups
		if want := uint32(c.m+int(c.bm)-1) / c.bm; groups[1] != want {
			t.Errorf("%s: %d workgroups, want %d rows of them", c.name, groups, want)
		}
	}
}

// Few rows of a product with a matrix stored by its columns, as decoding has them, run as the form for
// them, in one row of workgroups, and for no more rows than needed; all others as before.
func TestFormsOfFewRows(t *testing.T) {
	nt := kernels.Matmul{Batch: 2, M: 1, N: 1000, K: 64, TransB: true}
	for _, c := range []struct {
		name                 string
		m                    int
		layout               string
		plain, refuse, asked bool
		little               bool // the device has less shared memory than any does
		shader               string
		bm, rows             uint32 // of what a workgroup computes, and of workgroups if not 1
	}{
		{name: "one", m: 1, layout: "NT", shader: "matmul_gemv", bm: 1},
		{name: "two", m: 2, layout: "NT", shader: "matmul_gemv", bm: 2},
		{name: "three", m: 3, layout: "NT", shader: "matmul_gemv", bm: 4},
		{name: "five", m: 5, layout: "NT", shader: "matmul_gemv", bm: 8},
		{name: "eight", m: 8, layout: "NT", shader: "matmul_gemv", bm: 8},
		{name: "nine", m: 9, layout: "NT", shader: "matmul_coopmat", bm: 64},
		{name: "NN", m: 1, layout: "NN", shader: "matmul_coopmat", bm: 64},
		{name: "TN", m: 1, layout: "TN", shader: "matmul_coopmat", bm: 64},
		{name: "TT", m: 1, layout: "TT", shader: "matmul_coopmat", bm: 64},
		{name: "plain", m: 1, layout: "NT", plain: true, shader: "matmul", bm: 32},
		{name: "cooperative matrices asked for", m: 1, layout: "NT", asked: true, shader: "matmul_coopmat", bm: 32},
		{name: "refused", m: 1, layout: "NT", refuse: true, shader: "matmul_coopmat", bm: 64},
		{name: "little shared", m: 8, layout: "NT", little: true, shader: "matmul_gemv", bm: 4, rows: 2},
	} {
		hw := newNull()
		hw.shapes = shapes
		if c.refuse {
			hw.refused = []uint32{64, 1, 2, 512}
		}
		var trace strings.Builder
		o := Options{Plain: c.plain, Profile: &trace}
		if c.little {
			o.Limits.Shared = 8 << 10
		}
		if c.asked {
			o.Tiles = map[string]shaders.Tile{"matmul_coopmat": {64, 32, 32, 32}}
		}
		d := tensor.NewDevice(newBackend(hw, o))
		k := nt
		k.M, k.TransA, k.TransB = c.m, c.layout[0] == 'T', c.layout[1] == 'T'
		n := k.Lens(nil)
		for range 2 { // what is given up once is not tried again
			d.Run(k, d.New(tensor.F16, n[0]), d.New(tensor.F16, n[1]), d.New(tensor.F16, n[2]), nil)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if want := `"name":"` + c.shader + `"`; strings.Count(trace.String(), want) != 2 || len(hw.pipelines) != 1 {
			t.Errorf("%s: %d pipelines, trace %s; want %s", c.name, len(hw.pipelines), trace.String(), c.shader)
		} else if got := hw.pipelines[0]; got[1] != c.bm {
			t.Errorf("%s: constants %v, want %d rows", c.name, got, c.bm)
		}
		if groups := hw.submitted[len(hw.submitted)-1].groups; groups[1] != max(1, c.rows) || groups[2] != 2 {
			t.Errorf("%s: %d workgroups, want %d rows of them for each product", c.name, groups, max(1, c.rows))
		}
	}
}
