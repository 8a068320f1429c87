package vulkan

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// matrix is a product of cooperative matrices that a device computes: a [m, k] times b [k, n],
// plus and into c [m, n].
type matrix struct {
	m, n, k int
	a, b, c string // types
}

func (x matrix) String() string {
	return fmt.Sprintf("%dx%dx%d %s*%s+%s", x.m, x.n, x.k, x.a, x.b, x.c)
}

// form is one of the shaders of a kernel: its own, or an alternative for some calls or storage types.
type form struct {
	name        string // of the shader
	alternative bool
	about       string // in words, of an alternative: what it takes, or what it multiplies with
	code        func() []byte
	tiles       []shaders.Tile           // that the device can launch, small ones first
	calls       func(tensor.Kernel) bool // that it is for; nil: all
	aligned     bool                     // floats of its calls begin at multiples of 16 bytes
	thin        bool                     // only calls with few workgroups
	lean        []shaders.Tile           // in the place of larger tiles, for some calls on a device that may have few registers
	leanFor     func(tensor.Kernel) bool // for which
	pipelines   map[variant]*pipeline

	// Of an alternative with cooperative matrices.
	matrix   matrix
	subgroup int
	factors  uint8 // storage of what is multiplied
	product  bool  // of matrix and weight, whose storage may differ; else all floats are stored as they are multiplied
	shares   bool  // attention, of which two subgroups may have the same rows, each beside half of the columns

	// Of one with matrices of workgroups, which has factors too: whether a tile can be one. Else nil.
	whole func(shaders.Tile) bool
}

// forms are a kernel's shaders for this device, the best for a call before others that take it, and so
// the plain one last. A device that lists several shapes has made the large ones fast.
func forms(d shaders.Desc, matrices []matrix, subgroup int, workgroups []granules, l Limits, software bool) (list []*form) {
	sizes := func(tiles, ofSoftware, wide []shaders.Tile) []shaders.Tile {
		if software && ofSoftware != nil {
			return ofSoftware
		}
		if l.Registers >= manyRegisters {
			return slices.Concat(tiles, wide)
		}
		return tiles
	}
	for _, a := range d.Alternatives {
		if a.Workgroup {
			list = append(list, workgroupForms(a, workgroups, l)...)
			continue
		}
		a.Tiles = sizes(a.Tiles, a.Software, a.Wide)
		if tiles := launchable(a.Tiles, l); a.SPIRV[""] != nil && len(tiles) > 0 && haveAlternatives {
			list = append(list, &form{
				name: a.Name, alternative: true, about: a.Calls, code: a.SPIRV[""], tiles: tiles, calls: a.Takes,
				aligned: a.Aligned, pipelines: map[variant]*pipeline{},
			})
		}
		for _, dt := range []tensor.DType{tensor.F16, tensor.BF16} {
			code := a.SPIRV[dt.String()]
			if code == nil {
				continue
			}
			product := strings.Contains(d.Sig, "W")
			// A shader whose narrow subgroups have a launch of their own, or which has a lean one, can share rows: heads are an even
			// number of matrices wide, as the calls of those lines have them, or all where matrices are eight.
			shares := a.Lean != nil || slices.ContainsFunc(a.Narrow, func(n shaders.Narrow) bool { return n.Tiles != nil })
			add := func(subgroup int, calls func(tensor.Kernel) bool, tiles []shaders.Tile, own bool) {
				var best *form
				for _, x := range matrices {
					if x.a != dt.String() || x.b != x.a || x.c != "f32" || best != nil && x.size() <= best.matrix.size() {
						continue
					}
					about := fmt.Sprintf("%s: %dx%dx%d", x.a, x.m, x.n, x.k)
					if subgroup == l.Narrow {
						about += fmt.Sprintf(" in subgroups of %d", subgroup)
					}
					if own {
						about += ", rows shared by two subgroups"
					}
					f := &form{
						name: a.Name, alternative: true, about: about, code: code, calls: calls, aligned: a.Aligned, thin: a.Thin,
						pipelines: map[variant]*pipeline{}, matrix: x, subgroup: subgroup, factors: storages[dt] - 1,
						product: product, shares: shares && (own || x.n == 8),
					}
					for _, t := range tiles {
						if f.fits(t, l) && own == (f.sides(t) == 2) {
							f.tiles = append(f.tiles, t)
						}
					}
					if f.tiles != nil {
						best = f
					}
				}
				if best != nil {
					list = append(list, best)
				}
			}
			for _, n := range a.Narrow {
				if l.Narrow == 0 {
					break
				}
				tiles, own := n.Tiles, n.Tiles != nil
				if !own {
					tiles = a.Tiles
				}
				add(l.Narrow, func(k tensor.Kernel) bool { return n.Takes(k) && a.Takes(k) }, tiles, own)
			}
			if a.Lean != nil && l.Registers == 0 && !software && subgroup == leanSubgroup {
				add(subgroup, func(k tensor.Kernel) bool { return a.LeanFor(k) && a.Takes(k) }, a.Lean, true)
			}
			add(subgroup, a.Takes, a.Tiles, false)
		}
	}
	d.Tiles = sizes(d.Tiles, d.Software, d.Wide)
	plain := &form{name: d.Name, code: d.SPIRV, tiles: slices.Clone(d.Tiles[:1]), pipelines: map[variant]*pipeline{}}
	for first := &plain.tiles[0]; first[0] > fewestInvocations && int(first[0]) > l.Invocations; {
		first[0] /= 2
	}
	plain.tiles = append(plain.tiles, launchable(d.Tiles[1:], l)...)
	if l.Registers == 0 && !software {
		plain.lean, plain.leanFor = launchable(d.Lean, l), d.LeanFor
	}
	return append(list, plain)
}

// launchable are the tiles whose workgroups the device takes.
func launchable(tiles []shaders.Tile, l Limits) []shaders.Tile {
	return slices.DeleteFunc(slices.Clone(tiles), func(t shaders.Tile) bool { return int(t[0]) > l.Invocations })
}

// narrowSubgroup is 32 for a device whose subgroups have 64 lanes and have 32 where that is asked, and whose matrices hold a factor in every
// 16 lanes anew, as AMD's of RDNA 3 do: 64 load it four times, and move twice as much for a product that takes as long. Drivers
// do not tell; the matrices of RDNA 4, which hold it once, also multiply floats of 8 bits.
func narrowSubgroup(asks bool, sizes [3]int, matrices []string) int {
	const narrow, wide = 32, 64
	if !asks || len(matrices) == 0 || sizes[0] != wide || sizes[1] > narrow ||
		slices.ContainsFunc(matrices, func(m string) bool { return strings.Contains(m, "f8") }) {
		return 0
	}
	return narrow
}

// leanSubgroup is that of NVIDIA's devices, whose drivers do not say how many registers a lane has. Where subgroups have other sizes a lane has more
// or less of a matrix, and no compiler has been asked what that takes.
const leanSubgroup = 32

// manyRegisters of a lane are enough for four subgroups of 64 with 192 each, as a wide tile takes.
const manyRegisters = 768

// fewestInvocations of a workgroup are what every kernel still works with.
const fewestInvocations = 64

func (x matrix) size() int { return x.m * x.n * x.k }

// fits reports whether a tile of an alternative can be cut into matrices, the same number for each subgroup.
func (f *form) fits(t shaders.Tile, l Limits) bool {
	group := int(t[0])
	subgroups := group / f.subgroup
	if group > l.Invocations || group%f.subgroup != 0 || bits.OnesCount(uint(subgroups)) != 1 {
		return false
	}
	if f.product {
		return f.fitsProduct(t, subgroups)
	}
	return f.fitsAttention(t, subgroups)
}

// fitsProduct is fits of {group, bm, bn, bk}: the subgroups stand in rows as the shader has them.
func (f *form) fitsProduct(t shaders.Tile, subgroups int) bool {
	bm, bn, bk := int(t[1]), int(t[2]), int(t[3])
	down := 1
	switch {
	case f.thin: // each has all of it
		subgroups = 1
	case subgroups >= 16:
		down = 4
	case subgroups >= 4:
		down = 2
	}
	x := f.matrix
	taken := x.n%4 == 0 && x.k%8 == 0 // together by the shader
	return taken && bm%(down*x.m) == 0 && bn%(subgroups/down*x.n) == 0 && bk%x.k == 0
}

// fitsAttention is fits of {group, bm, bn}: a subgroup, or two, has a matrix's height of the rows, which are no fewer than
// the columns.
func (f *form) fitsAttention(t shaders.Tile, subgroups int) bool {
	rows, columns := max(int(t[1]), int(t[2])), min(int(t[1]), int(t[2]))
	x, sides := f.matrix, f.sides(t)
	blocks := columns%(2*sides*x.n) == 0 // each has two of columns at least
	// Of short heads there are twice as many columns, of which an invocation has a statistic and takes pairs from one place on.
	short := 2*columns <= int(t[0]) && int(t[0])%columns == 0
	looked := 32*columns%(4*int(t[0])) == 0 // those of 32 tiles, of which an invocation looks at four at a time
	return x.n == x.k && (x.n == 8 || x.n == 16) && sides*rows == subgroups*x.m && blocks && short && looked &&
		x.m*x.n/4%f.subgroup == 0 // four numbers of a row for each invocation
}

// sides is how many subgroups have the same rows of a tile of attention.
func (f *form) sides(t shaders.Tile) int {
	if f.shares && int(t[0])/f.subgroup*f.matrix.m == 2*int(max(t[1], t[2])) {
		return 2
	}
	return 1
}

// slow reports whether a device had better run another form: software takes minutes to compile attention with matrices.
func (f *form) slow(software bool) bool { return software && f.subgroup != 0 && !f.product }

// drop gives up a tile for which the device has too little shared memory, and the larger ones;
// false where that leaves a kernel without any.
func (f *form) drop(t shaders.Tile) bool {
	if slices.Contains(f.lean, t) {
		f.lean = nil
		return true
	}
	i := slices.Index(f.tiles, t)
	if i == 0 && !f.alternative {
		return false
	}
	f.tiles = f.tiles[:i]
	return true
}

// form is the best that takes a call; the last one takes all.
func (k *kernel) form(v variant, call tensor.Kernel, args []tensor.Arg) *form {
	aligned := true
	for i, a := range args {
		aligned = aligned && (a.IsNil() || k.Args[i].Letter < 'T' || a.Offset%16 == 0)
	}
	i := slices.IndexFunc(k.forms, func(f *form) bool { return f.takes(v, call) && (aligned || !f.aligned) })
	return k.forms[i]
}

// takes reports whether a call can run as this form. An alternative for products with cooperative matrices
// multiplies its letters U and W. One of them at least is stored as it multiplies, or the result, letter T, is and W
// is packed. The others may be f32 or packed and are rounded to that, where the result has 16 bits as well:
// it loses more than that.
func (f *form) takes(v variant, call tensor.Kernel) bool {
	if len(f.tiles) == 0 || f.calls != nil && !f.calls(call) || f.thin && !isThin(call) {
		return false
	}
	if f.whole != nil {
		return f.takesWhole(v)
	}
	if f.subgroup == 0 {
		return true
	}
	if !f.product {
		return v.storage[0] == f.factors
	}
	c, a, b := v.storage[0], v.storage['U'-'T'], v.storage['W'-'T'] // by letter, from T on
	is := func(s uint8, dt tensor.DType) bool { return s == storages[dt]-1 }
	packed := func(s uint8) bool { return s+1 >= storages[tensor.Q8] }
	if a != f.factors && b != f.factors && !(c == f.factors && packed(b)) {
		return false
	}
	narrow := is(c, tensor.F16) || is(c, tensor.BF16)
	fits := func(s uint8) bool { return s == f.factors || narrow && (is(s, tensor.F32) || packed(s)) }
	return fits(a) && fits(b)
}

// manyGroups is the number of workgroups that keeps a large GPU busy.
const manyGroups = 128

// enoughGroups is the number of workgroups that keeps a device busy, beyond which larger tiles pay: one for each of its
// processors, as many as a large GPU has where the driver does not say. No bits depend on it: an element is summed in the
// same order by all tiles. The few processors of software want several each, or some are idle while others do the last.
func enoughGroups(hw hardware) uint64 {
	n := uint64(hw.processors())
	switch {
	case n == 0:
		return manyGroups
	case hw.software():
		return 4 * n
	}
	return n
}

// isThin reports whether a product has few workgroups by small tiles, in one or two rows or columns. How many are few does
// not follow the device: a form that divides a sum has other bits.
func isThin(call tensor.Kernel) bool {
	g := call.Grid(shaders.Tile{0, 64, 64, 0})
	return min(g[0], g[1]) <= 2 && uint64(g[0])*uint64(g[1])*uint64(g[2]) < manyGroups
}

// tile is the largest of which there are enough. A form for few rows
// takes all of them at once if it can, so that it reads what they are multiplied by once, and with the smallest tile.
func (f *form) tile(call tensor.Kernel, enough uint64) shaders.Tile {
	if f.thin {
		return f.tiles[len(f.tiles)-1]
	}
	if f.calls != nil && f.subgroup == 0 && f.whole == nil {
		for _, t := range f.tiles {
			if call.Grid(t)[1] <= 1 {
				return t
			}
		}
		return f.tiles[len(f.tiles)-1]
	}
	suffices := func(t shaders.Tile) bool {
		g := call.Grid(t)
		return uint64(g[0])*uint64(g[1])*uint64(g[2]) >= enough
	}
	if len(f.lean) > 0 && f.leanFor(call) && suffices(f.lean[0]) {
		return f.lean[0]
	}
	for _, t := range slices.Backward(f.tiles[1:]) {
		if suffices(t) && !f.overhangs(call, t) {
			return t
		}
	}
	return f.tiles[0]
}

// overhangs reports whether half of a tile would lie past the end, above or beside what there is: one of half the size
// needs no more workgroups.
func (f *form) overhangs(call tensor.Kernel, t shaders.Tile) bool {
	for side := 1; side <= 2; side++ {
		half := t
		if half[side] /= 2; t[side] > f.tiles[0][side] && call.Grid(half) == call.Grid(t) {
			return true
		}
	}
	return false
}

// Multiplies reports whether products of linear layers stored in a 16-bit type run on the device's matrices: never on a
// driver that computes on the processor, where they are no faster.
func (i Info) Multiplies(dt tensor.DType) bool {
	if i.Kind == KindCPU {
		return false
	}
	d, _ := shaders.Find("matmul")
	return multiplies(forms(d, i.matrices, i.Subgroup[0], nil, i.Limits, false), dt)
}

func multiplies(list []*form, dt tensor.DType) bool {
	return dt.Is16Bit() && slices.ContainsFunc(list, func(f *form) bool {
		return f.product && f.subgroup != 0 && !f.thin && f.factors == storages[dt]-1
	})
}

// MultipliesMatrices implements tensor.MatrixMultiplier.
func (b *backend) MultipliesMatrices(dt tensor.DType) bool {
	k, err := b.kernel("matmul")
	return err == nil && !b.hw.software() && multiplies(k.forms, dt)
}

// choose sets the alternatives that a device uses, in words, and those that it leaves out, because nobody has asked for
// matrices of workgroups.
func (i *Info) choose(workgroups bool) {
	i.Alternatives, i.OnRequest = []string{}, []string{}
	for _, d := range shaders.All() {
		for _, f := range forms(d, i.matrices, i.Subgroup[0], i.workgroups, i.Limits, i.Kind == KindCPU) {
			switch about := f.name + " " + f.about; {
			case f.whole != nil && !workgroups:
				i.OnRequest = append(i.OnRequest, about)
			case f.alternative:
				i.Alternatives = append(i.Alternatives, about)
			}
		}
	}
}
