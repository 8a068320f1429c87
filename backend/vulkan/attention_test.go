//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64) && !vulkan_bindings

package vulkan_test

import (
	"bytes"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// attentionCase is a call of attention with the positions and segments of its queries and keys.
type attentionCase struct {
	name                   string
	k                      kernels.Attention
	qpos, kpos, qseg, kseg []int32 // of every sequence, or of all of them, one behind the other; nil: none
}

// attentionCases are around the edges of tiles.
func attentionCases() (list []attentionCase) {
	plain := func(name string, batch, t, s, heads, kvHeads, dim int) {
		k := kernels.Attention{Batch: batch, T: t, S: s, Heads: heads, KVHeads: kvHeads, HeadDim: dim,
			Scale: float32(1 / math.Sqrt(float64(dim)))}
		list = append(list, attentionCase{name: name, k: k})
	}
	plain("one", 1, 1, 1, 1, 1, 16)
	plain("31", 2, 31, 31, 4, 2, 16)
	plain("64", 1, 64, 64, 1, 1, 16)
	plain("129", 2, 129, 129, 2, 1, 16)
	plain("63 of 97", 1, 63, 97, 1, 1, 16)
	plain("decode", 2, 1, 67, 2, 1, 16)
	plain("more queries than keys", 1, 37, 3, 2, 1, 16)
	plain("heads of 48, soft cap", 1, 81, 81, 2, 1, 48)
	list[len(list)-1].k.SoftCap = 1.5
	plain("window of tiles", 1, 260, 260, 1, 1, 16) // some of which lie wholly inside it
	list[len(list)-1].k.Window = 110
	if os.Getenv("AGORA_LONG") == "1" { // minutes of a software device's compiler
		plain("heads of 64", 1, 70, 70, 2, 1, 64)
		plain("heads of 80", 1, 40, 40, 1, 1, 80)
		plain("heads of 96", 1, 70, 70, 2, 1, 96)
		plain("heads of 128", 1, 65, 65, 2, 1, 128)
	}
	windowed := list[3]
	windowed.name, windowed.k.Window = "window", 40
	// A batch has rows of segments of these lengths, those of nobody below 0, with tokens that are queries and keys.
	batch := func(name string, window int, rows ...[]int) *attentionCase {
		c := attentionCase{name: name}
		for _, lengths := range rows {
			for segment, n := range lengths {
				for i := range max(n, -n) {
					if n < 0 {
						c.qpos, c.qseg = append(c.qpos, 0), append(c.qseg, -1)
					} else {
						c.qpos, c.qseg = append(c.qpos, int32(i)), append(c.qseg, int32(segment))
					}
				}
			}
		}
		c.kpos, c.kseg = c.qpos, c.qseg
		n := len(c.qpos) / len(rows)
		plain(name, len(rows), n, n, 4, 2, 16)
		c.k = list[len(list)-1].k
		c.k.Window = window
		list[len(list)-1] = c
		return &list[len(list)-1]
	}
	rows := func(name string, window int, lengths ...int) { batch(name, window, lengths) }
	rows("short rows", 0, 30, 37, 50, -12)
	rows("padded on the right", 0, 161, -60)
	rows("padded on the left", 0, -60, 161)
	rows("padding alone", 0, -70)
	rows("packed", 0, 200, 56, 50, -24) // the first ends within a tile, the second with one
	rows("packed, window", 100, 10, 246, -24)
	unlike := [][]int{{150, 53}, {20, 60, -31, 92}}
	batch("rows unlike each other", 0, unlike...)
	segments := func(name string, window int) {
		c := batch(name, window, unlike...)
		c.qpos, c.kpos = nil, nil
	}
	segments("segments alone", 0)
	segments("segments alone, window", 40)
	padded := [][]int{{173, -30}, {90, -113}}
	batch("positions of queries alone", 0, padded...).kpos = nil
	if os.Getenv("AGORA_LONG") == "1" {
		batch("positions of keys alone", 0, padded...).qpos = nil
	}
	long := func(name string, t, s, heads int) { // more tiles than are looked at together
		plain(name, 1, t, s, heads, 1, 16)
		c := &list[len(list)-1]
		for i := range t {
			c.qpos, c.qseg = append(c.qpos, int32(s/2+i)), append(c.qseg, int32(0))
		}
		for j := range s {
			c.kpos, c.kseg = append(c.kpos, int32(j)), append(c.kseg, int32(0))
		}
	}
	long("many keys", 40, 1100, 1)
	list[len(list)-1].qpos = slices.Repeat([]int32{1090}, 40)
	long("many queries", 1100, 40, 2)
	backwards := list[1]
	backwards.name = "keys out of order"
	for i := range backwards.k.S {
		backwards.qpos = append(backwards.qpos, int32(i))
		backwards.kpos = append(backwards.kpos, int32(backwards.k.S-1-i))
		backwards.qseg, backwards.kseg = append(backwards.qseg, 0), append(backwards.kseg, 0)
	}
	return append(list, windowed, backwards)
}

// sequence is number b of a batch, alone.
func (c attentionCase) sequence(b int) attentionCase {
	part := func(values []int32, n int) []int32 {
		if len(values) <= n {
			return values
		}
		return values[b*n : (b+1)*n]
	}
	c.qpos, c.kpos, c.qseg, c.kseg = part(c.qpos, c.k.T), part(c.kpos, c.k.S), part(c.qseg, c.k.T), part(c.kseg, c.k.S)
	c.k.Batch = 1
	return c
}

// on runs the three kernels on a device with these types of vectors and of statistics, gradients on outputs that are
// given, and returns what they write: y, lse, dq, delta, dk, dv.
func (c attentionCase) on(t *testing.T, d *tensor.Device, dt, stat tensor.DType, in attentionInputs) [][]float64 {
	t.Helper()
	const margin = 8 // elements before and behind every argument: addresses of whole 16 bytes
	scope := d.Scope()
	defer scope.Close()
	put := func(dt tensor.DType, values []float64) *tensor.Tensor {
		around := slices.Repeat([]float64{math.NaN()}, margin)
		return d.FromFloat64s(dt, slices.Concat(around, values, around), len(values)+2*margin).View(margin, len(values))
	}
	ints := func(values []int32, n int) *tensor.Tensor {
		if values == nil {
			return nil
		}
		n *= c.k.Batch
		return d.FromInt32s(slices.Repeat(values, n/len(values)), n)
	}
	var wholes []*tensor.Tensor
	out := func(dt tensor.DType, n int) *tensor.Tensor {
		whole := d.FromFloat64s(dt, slices.Repeat([]float64{math.NaN()}, n+2*margin), n+2*margin)
		wholes = append(wholes, whole)
		return whole.View(margin, n)
	}
	queries, keys, rows := len(in.q), len(in.k), c.k.Batch*c.k.Heads*c.k.T
	q, k, v, dy := put(dt, in.q), put(dt, in.k), put(dt, in.v), put(dt, in.dy)
	seen := []*tensor.Tensor{ints(c.qpos, c.k.T), ints(c.kpos, c.k.S), ints(c.qseg, c.k.T), ints(c.kseg, c.k.S)}
	y, lse := out(dt, queries), out(stat, rows)
	d.Run(c.k, append([]*tensor.Tensor{y, lse, q, k, v}, seen...)...)
	if in.y != nil {
		y, lse = put(dt, in.y), put(stat, in.lse)
	}
	dq, delta, dk, dv := out(dt, queries), out(stat, rows), out(dt, keys), out(dt, keys)
	d.Run(kernels.AttentionGradQ(c.k), append([]*tensor.Tensor{dq, delta, dy, y, lse, q, k, v}, seen...)...)
	d.Run(kernels.AttentionGradKV(c.k), append([]*tensor.Tensor{dk, dv, dy, lse, delta, q, k, v}, seen...)...)
	var all [][]float64
	for i, whole := range wholes {
		values, err := whole.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		n := len(values) - margin
		for _, x := range slices.Concat(values[:margin], values[n:]) {
			if !math.IsNaN(x) {
				t.Fatalf("%s is written beside its elements", attentionOutputs[i])
			}
		}
		all = append(all, values[margin:n])
	}
	return all
}

var attentionOutputs = []string{"y", "lse", "dq", "delta", "dk", "dv"}

// attentionInputs are what the kernels read; y and lse of the forward pass, where they are given, for the gradients.
type attentionInputs struct{ q, k, v, dy, y, lse []float64 }

// sequence is number b of a batch.
func (in attentionInputs) sequence(b, batch int) attentionInputs {
	part := func(x []float64) []float64 { return x[b*len(x)/batch : (b+1)*len(x)/batch] }
	return attentionInputs{part(in.q), part(in.k), part(in.v), part(in.dy), part(in.y), part(in.lse)}
}

// unlike is the sum of the squared differences by that of the squares; infinite numbers must be the same.
func unlike(got, want []float64) float64 {
	difference, sum := 0.0, 1e-30
	for i, w := range want {
		if math.IsInf(w, 0) && got[i] == w {
			continue
		}
		difference += (got[i] - w) * (got[i] - w)
		sum += w * w
	}
	return difference / sum
}

// larger is by how much of the wanted numbers those that came are larger, all together; infinite ones are left out.
func larger(got, want []float64) float64 {
	sum, difference := 1e-30, 0.0
	for i, w := range want {
		if !math.IsInf(w, 0) {
			sum += w * w
			difference += (got[i] - w) * w
		}
	}
	return difference / sum
}

// Attention and its gradients with cooperative matrices compute what sums in float64 give of the same numbers, within
// the rounding of 16 bits; the same bits twice, and for each sequence of a batch alone.
func TestAttentionOfMatrices(t *testing.T) {
	needs(t, "attention_coopmat f16")
	var trace bytes.Buffer
	subject, reference := tensor.NewDevice(open(t, vulkan.Options{Profile: &trace, Tiles: attentionTiles()})),
		tensor.NewDevice(plainCPU(t))
	runs := 0
	for _, c := range attentionCases() {
		t.Run(c.name, func(t *testing.T) { runs += c.compare(t, subject, reference) })
	}
	t.Run("tiles seen whole", func(t *testing.T) { runs += wholeTiles(t, subject) })
	t.Run("tiles seen whole, without matrices", func(t *testing.T) { wholeTiles(t, openDevice(t, vulkan.Options{})) })
	if err := subject.Close(); err != nil {
		t.Fatal(err)
	}
	ran := dispatches(t, &trace)
	for shader := range attentionTiles() {
		if ran[shader] != runs {
			t.Errorf("%s ran %d times, want %d", shader, ran[shader], runs)
		}
	}
}

// Where two subgroups have the same rows, each beside half of a tile's columns, what comes of it is as good. Gradients have the same
// bits as where one has all of a tile as large; the forward pass adds the weights of a row in another order.
func TestAttentionOfSharedRows(t *testing.T) {
	for shader, shared := range sharedRows() {
		t.Run(shader, func(t *testing.T) {
			needs(t, shader+" f16")
			var trace bytes.Buffer
			subject := tensor.NewDevice(open(t, vulkan.Options{Profile: &trace, Tiles: map[string]shaders.Tile{shader: shared}}))
			var others []*tensor.Device
			if shader != "attention_coopmat" {
				alone := shared
				alone[0] /= 2
				others = append(others, openDevice(t, vulkan.Options{Tiles: map[string]shaders.Tile{shader: alone}}))
			}
			reference, runs := tensor.NewDevice(plainCPU(t)), 0
			of := []string{"window", "more queries than keys", "decode", "rows unlike each other", "packed, window", "many keys", "heads of 32"}
			if os.Getenv("AGORA_LONG") == "1" {
				of = append(of, "heads of 48, soft cap", "heads of 64", "heads of 80", "heads of 96", "heads of 128")
			}
			// In a subgroup whose sums are of as many matrices as there, they are of two rows of matrices.
			cases := append(attentionCases(), attentionCase{name: "heads of 32",
				k: kernels.Attention{Batch: 1, T: 70, S: 90, Heads: 2, KVHeads: 1, HeadDim: 32, Scale: 0.2}})
			for _, name := range of {
				i := slices.IndexFunc(cases, func(c attentionCase) bool { return c.name == name })
				if i < 0 {
					t.Fatalf("no case is called %q", name)
				}
				t.Run(name, func(t *testing.T) { runs += cases[i].compare(t, subject, reference, others...) })
			}
			t.Run("tiles seen whole", func(t *testing.T) { runs += wholeTiles(t, subject) })
			if err := subject.Close(); err != nil {
				t.Fatal(err)
			}
			if ran := dispatches(t, &trace)[shader]; ran != runs {
				t.Errorf("it ran %d times, want %d", ran, runs)
			}
		})
	}
}

// attentionTiles are those of the forms with matrices for subgroups of eight, which no software device takes by itself;
// of few columns, because it compiles them sooner.
func attentionTiles() map[string]shaders.Tile {
	return map[string]shaders.Tile{"attention_coopmat": {64, 64, 16}, "attention_grad_q_coopmat": {64, 64, 16},
		"attention_grad_kv_coopmat": {64, 16, 64}}
}

// sharedRows are tiles of them of which two subgroups have the same rows.
func sharedRows() map[string]shaders.Tile {
	return map[string]shaders.Tile{"attention_coopmat": {128, 64, 32}, "attention_grad_q_coopmat": {128, 64, 32},
		"attention_grad_kv_coopmat": {128, 32, 64}}
}

// wholeTiles runs one case in three ways, and says how often that is: tiles that are seen whole by their places, in the loop of a
// window, though of more than all keys, and seen whole by positions and segments. They have the same bits.
func wholeTiles(t *testing.T, subject *tensor.Device) int {
	const n, dim = 200, 16
	known := attentionCase{k: kernels.Attention{Batch: 1, T: n, S: n, Heads: 2, KVHeads: 1, HeadDim: dim, Scale: 0.25}}
	windowed, given := known, known
	windowed.k.Window = n
	for i := range n {
		given.qpos, given.qseg = append(given.qpos, int32(i+5)), append(given.qseg, 3)
	}
	given.kpos, given.kseg = given.qpos, given.qseg
	r := random.NewStream(4, random.Test, 0, 0)
	normal := func(heads int) []float64 {
		values := make([]float64, heads*n*dim)
		for i := range values {
			values[i] = r.Normal()
		}
		return values
	}
	in := attentionInputs{q: normal(2), k: normal(1), v: normal(1), dy: normal(2)}
	want := known.on(t, subject, tensor.F16, tensor.F32, in)
	for name, c := range map[string]attentionCase{"a window": windowed, "positions": given} {
		for i, got := range c.on(t, subject, tensor.F16, tensor.F32, in) {
			if !slices.Equal(got, want[i]) {
				t.Errorf("%s: other bits by %s than by places", attentionOutputs[i], name)
			}
		}
	}
	return 3
}

// compare runs the case on both devices, on the subject twice and for each sequence alone, and says how often that is. Others
// have the subject's bits.
func (c attentionCase) compare(t *testing.T, subject, reference *tensor.Device, others ...*tensor.Device) int {
	return c.compareIn(t, tensor.F16, 1e-6, subject, reference, others...)
}

// compareIn is compare in vectors of a type, whose normalized errors have a limit, and less of them on the average.
func (c attentionCase) compareIn(t *testing.T, dt tensor.DType, most float64, subject, reference *tensor.Device, others ...*tensor.Device) int {
	r := random.NewStream(3, random.Test, 0, 0)
	normal := func(heads, tokens int) []float64 { // as the device will have them
		values := make([]float64, c.k.Batch*heads*tokens*c.k.HeadDim)
		for i := range values {
			values[i] = r.Normal()
		}
		return rounded(t, reference, dt, values)
	}
	in := attentionInputs{q: normal(c.k.Heads, c.k.T), k: normal(c.k.KVHeads, c.k.S), v: normal(c.k.KVHeads, c.k.S),
		dy: normal(c.k.Heads, c.k.T)}
	forward := c.on(t, reference, tensor.F64, tensor.F64, in)
	in.y, in.lse = rounded(t, reference, dt, forward[0]), rounded(t, reference, tensor.F32, forward[1])
	want := c.on(t, reference, tensor.F64, tensor.F64, in)
	got, again := c.on(t, subject, dt, tensor.F32, in), c.on(t, subject, dt, tensor.F32, in)
	runs := 2
	for i, name := range attentionOutputs {
		limit := most
		if name == "lse" || name == "delta" {
			limit = 1e-11
		}
		if e := unlike(got[i], want[i]); !(e <= limit) {
			t.Errorf("%s: normalized error %.3g, want at most %g", name, e, limit)
		}
		if e := larger(got[i], want[i]); !(math.Abs(e) <= math.Sqrt(limit)/3) {
			t.Errorf("%s: too large by %.3g of it, want at most %.3g", name, e, math.Sqrt(limit)/3)
		}
		if !slices.Equal(got[i], again[i]) {
			t.Errorf("%s: other bits in a second run", name)
		}
	}
	for _, d := range others {
		for i, other := range c.on(t, d, dt, tensor.F32, in) {
			if !slices.Equal(got[i], other) {
				t.Errorf("%s: other bits by other tiles", attentionOutputs[i])
			}
		}
	}
	for b := range c.k.Batch {
		alone := c.sequence(b).on(t, subject, dt, tensor.F32, in.sequence(b, c.k.Batch))
		runs++
		for i, name := range attentionOutputs {
			n := len(alone[i])
			if !slices.Equal(alone[i], got[i][b*n:(b+1)*n]) {
				t.Errorf("%s: other bits of sequence %d alone", name, b)
			}
		}
	}
	return runs
}

// Vectors that do not begin at multiples of 16 bytes are left to the plain shader.
func TestAttentionBesideMatrices(t *testing.T) {
	for _, c := range []struct {
		name       string
		dt         tensor.DType
		dim, begin int
		matrices   bool
	}{
		{"aligned", tensor.F16, 16, 8, true}, {"not aligned", tensor.F16, 16, 4, false}, {"f32", tensor.F32, 16, 8, false},
		{"odd heads", tensor.F16, 24, 8, false}, {"long heads", tensor.F16, 144, 8, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			needs(t, "attention_coopmat f16")
			var trace bytes.Buffer
			d := tensor.NewDevice(open(t, vulkan.Options{Profile: &trace, Tiles: attentionTiles()}))
			x := d.FromFloat64s(c.dt, make([]float64, c.dim+c.begin), c.dim+c.begin).View(c.begin, c.dim)
			d.Run(kernels.Attention{Batch: 1, T: 1, S: 1, Heads: 1, KVHeads: 1, HeadDim: c.dim}, d.Like(x),
				d.New(tensor.F32, 1), x, x, x, nil, nil, nil, nil)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if ran := dispatches(t, &trace)["attention_coopmat"]; (ran == 1) != c.matrices {
				t.Errorf("attention_coopmat ran %d times", ran)
			}
		})
	}
}

// How large a tile is decides no bits: which one runs follows the number of the device's processors.
func TestTilesKeepBits(t *testing.T) {
	if testing.Short() {
		t.Skip("as other software devices do")
	}
	attention := attentionCase{k: kernels.Attention{Batch: 1, T: 70, S: 70, Heads: 2, KVHeads: 1, HeadDim: 80, Scale: 0.15}}
	const m, n, k = 70, 130, 90
	r := random.NewStream(5, random.Test, 0, 0)
	normal := func(n int) []float64 {
		values := make([]float64, n)
		for i := range values {
			values[i] = r.Normal()
		}
		return values
	}
	vectors := 70 * 80
	in := attentionInputs{q: normal(2 * vectors), k: normal(vectors), v: normal(vectors), dy: normal(2 * vectors)}
	a, b := normal(m*k), normal(k*n)
	var want [][]float64
	for turn := range 3 { // small tiles, large ones, and one with strips of four parts
		tiles := map[string]shaders.Tile{}
		for _, name := range []string{"matmul", "attention", "attention_grad_q", "attention_grad_kv"} {
			d, _ := shaders.Find(name)
			if tiles[name] = d.Tiles[0]; turn == 1 {
				tiles[name] = d.Tiles[len(d.Tiles)-1]
			}
		}
		if turn == 2 {
			tiles["attention_grad_kv"] = shaders.Tile{128, 128, 16} // half of the lean one, which shares more than software has
		}
		d := openDevice(t, vulkan.Options{Tiles: tiles})
		c := d.New(tensor.F32, m, n)
		d.Run(kernels.Matmul{Batch: 1, M: m, N: n, K: k}, c, d.FromFloat64s(tensor.F32, a, m, k),
			d.FromFloat64s(tensor.F32, b, k, n), nil)
		product, err := c.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		windowed := attention // rows of a tile see other first keys
		windowed.k.Window = 30
		got := slices.Concat(attention.on(t, d, tensor.F32, tensor.F32, in), windowed.on(t, d, tensor.F32, tensor.F32, in),
			[][]float64{product})
		if want == nil {
			want = got
		}
		for j, name := range slices.Concat(attentionOutputs, attentionOutputs, []string{"product"}) {
			if !slices.Equal(got[j], want[j]) {
				t.Errorf("tiles %v: other bits of %s", tiles, name)
			}
		}
	}
}

// rounded are the values as a type has them.
func rounded(t *testing.T, d *tensor.Device, dt tensor.DType, values []float64) []float64 {
	t.Helper()
	x := d.FromFloat64s(dt, values, len(values))
	got, err := x.Float64s()
	x.Free("rounded")
	if err != nil {
		t.Fatal(err)
	}
	return got
}
