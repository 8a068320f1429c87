package vulkan

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// kernel is a contract with the shaders that this device runs for it, the best first.
type kernel struct {
	shaders.Desc
	forms []*form
}

// variant is what a pipeline is specialised for.
type variant struct {
	tile    shaders.Tile
	consts  [12]uint32
	storage [4]uint8 // of T, U, V, W
	present uint16   // a bit for each optional binding
}

// Numbers of specialization constants, as in shaders/include/kernel.glsl.
const (
	firstTile    = 0
	firstConst   = 4
	firstStorage = 16
	firstMatrix  = 20 // rows, columns, depth of a cooperative matrix; invocations of a subgroup; the factors' storage
	firstHalves  = 25 // whether the device's conversions round to them
	firstOption  = 32
)

// storages are the numbers of storage types in the same file, plus 1; f64 is for the CPU's checks alone.
var storages = [tensor.U4 + 1]uint8{tensor.F32: 1, tensor.F16: 2, tensor.BF16: 3, tensor.Q8: 4, tensor.Q4: 5,
	tensor.Q4_1: 6, tensor.Q5_0: 7, tensor.Q5_1: 8, tensor.IQ4_NL: 9, tensor.Q4_K: 10, tensor.Q5_K: 11, tensor.Q6_K: 12,
	tensor.NF4: 13, tensor.FP4: 14, tensor.FP8: 15, tensor.U4: 16}

// storage is the number of one.
func storage(dt tensor.DType) (uint8, error) {
	if dt > tensor.U4 || storages[dt] == 0 {
		return 0, fmt.Errorf("the shaders read no %s", dt)
	}
	return storages[dt] - 1, nil
}

func (b *backend) kernel(name string) (*kernel, error) {
	if k, ok := b.kernels[name]; ok {
		return k, nil
	}
	d, ok := shaders.Find(name)
	if !ok || d.SPIRV == nil {
		return nil, fmt.Errorf("it has no shader: shaders/gen compiles one with -glslc")
	}
	if b.plain {
		d.Alternatives = nil
	}
	matrices, subgroup := b.hw.matrices()
	k := &kernel{Desc: d, forms: forms(d, matrices, subgroup, b.hw.workgroups(), b.limits, b.hw.software())}
	for i, f := range k.forms {
		t, asked := b.tiles[f.name]
		if !asked && f.slow(b.hw.software()) {
			f.tiles = nil
			continue
		}
		if asked && f.whole != nil && !f.whole(t) {
			return nil, fmt.Errorf("the device has no matrices of workgroups for %s with tile %v", f.name, t)
		}
		if asked && f.subgroup != 0 && !f.fits(t, b.limits) { // one of the same shader may, for other subgroups
			f.tiles = nil
			continue
		}
		if asked {
			f.tiles, f.lean, f.thin = []shaders.Tile{t}, nil, false
			if f.alternative { // asked for, it comes before others that would take its calls
				copy(k.forms[1:i+1], k.forms[:i])
				k.forms[0] = f
			}
		}
		if n := int(f.tiles[0][0]); n > b.limits.Invocations {
			return nil, fmt.Errorf("%d invocations in a workgroup, the device takes %d", n, b.limits.Invocations)
		}
	}
	for _, f := range k.forms {
		has := func(other *form) bool { return other.name == f.name && other.tiles != nil }
		if t, asked := b.tiles[f.name]; asked && !slices.ContainsFunc(k.forms, has) {
			return nil, fmt.Errorf("the device's subgroups cannot divide tile %v of %s", t, f.name)
		}
	}
	b.kernels[name] = k
	return k, nil
}

// variantOf is what a call of the kernel needs its pipeline to be made for.
func (k *kernel) variantOf(call tensor.Kernel, args []tensor.Arg) (v variant, err error) {
	if copied := copy(v.consts[:], call.Consts()); copied < len(call.Consts()) {
		return v, fmt.Errorf("%d constants, want at most %d", len(call.Consts()), len(v.consts))
	}
	for i, a := range args {
		b := k.Args[i]
		if a.IsNil() {
			continue
		}
		if b.Optional {
			v.present |= 1 << i
		}
		if b.Letter == 'I' {
			continue
		}
		s, err := storage(a.DType)
		if err != nil {
			return v, fmt.Errorf("%s: %w", k.Bindings[i], err)
		}
		if b.Letter >= 'T' {
			v.storage[b.Letter-'T'] = s
		} else if s != 0 {
			return v, fmt.Errorf("%s is %s, want f32", k.Bindings[i], a.DType)
		}
	}
	return v, nil
}

// constants are the specialization constants of a variant.
func (k *kernel) constants(f *form, v variant) (c constants) {
	copy(c[firstTile:firstConst], v.tile[:])
	copy(c[firstConst:firstStorage], v.consts[:])
	for letter, s := range v.storage {
		c[firstStorage+letter] = uint32(s)
	}
	copy(c[firstMatrix:], []uint32{uint32(f.matrix.m), uint32(f.matrix.n), uint32(f.matrix.k), uint32(f.subgroup),
		uint32(f.factors)})
	for i := range k.Args {
		c[firstOption+i] = uint32(v.present >> i & 1)
	}
	return c
}

// prepared is what a call runs as; without groups there is nothing to run.
type prepared struct {
	form     *form
	variant  variant
	groups   [3]uint32
	pipeline *pipeline // begun when it is first needed
}

// prepare chooses one of the kernel's forms and a tile, the best whose workgroups share no
// more memory than there is.
func (b *backend) prepare(k *kernel, call tensor.Kernel, args []tensor.Arg) (p prepared, err error) {
	v, err := k.variantOf(call, args)
	if err != nil {
		return p, err
	}
	for {
		p.form = k.form(v, call, args)
		v.tile = p.form.tile(call, b.enough)
		p.variant = v
		p.groups = call.Grid(v.tile)
		for i, n := range p.groups {
			if n == 0 {
				return p, nil
			}
			if int(n) > b.limits.Groups[i] {
				return p, fmt.Errorf("%d workgroups in dimension %d, the device takes %d: fewer rows in a batch "+
					"need fewer", n, i, b.limits.Groups[i])
			}
		}
		var ok bool
		if p.pipeline, ok = p.form.pipelines[v]; ok {
			return p, nil
		}
		c := k.constants(p.form, v)
		code := p.form.code()
		if b.halves {
			c[firstHalves] = 1
		}
		if b.keeps {
			code = keepingHalves(code)
		}
		shared, err := sharedBytes(code, c[:])
		if err != nil {
			return p, err
		}
		_, asked := b.tiles[p.form.name]
		if shared > b.limits.Shared {
			if asked || !p.form.drop(v.tile) {
				return p, fmt.Errorf("%d bytes of shared memory in a workgroup, the device has %d", shared,
					b.limits.Shared)
			}
			continue
		}
		p.pipeline = b.compilers.compile(b.hw, code, c, p.form.subgroup)
		p.form.pipelines[v] = p.pipeline
		return p, nil
	}
}

// dispatch records one kernel.
func (b *backend) dispatch(call tensor.Kernel, args []tensor.Arg) error {
	k, err := b.kernel(call.Name())
	if err != nil {
		return err
	}
	p, err := b.prepare(k, call, args)
	if err != nil || slices.Contains(p.groups[:], 0) {
		return err
	}
	b.push, b.reads, b.writes = b.push[:0], b.reads[:0], b.writes[:0]
	for i, a := range args {
		if a.IsNil() {
			b.push = binary.LittleEndian.AppendUint64(b.push, 0)
			continue
		}
		s := a.Buf.(*buffer).span(a.Offset, a.DType.Bytes(a.N))
		b.push = binary.LittleEndian.AppendUint64(b.push, s.from)
		if k.Args[i].Read {
			b.reads = append(b.reads, s)
		}
		if k.Args[i].Written {
			b.writes = append(b.writes, s)
		}
	}
	if b.push, err = call.Push(b.push); err != nil {
		return err
	}
	if len(b.push) > pushBytes {
		return fmt.Errorf("%d bytes of push constants, want at most %d", len(b.push), pushBytes)
	}
	c := b.rec.add(dispatchCommand, b.reads, b.writes, stamped{call.Name(), p.form.name, b.rec.counts.Calls})
	c.groups, c.pushed = p.groups, uint32(copy(c.push[:], b.push))
	if p.pipeline.ready() {
		c.pipeline = p.pipeline.id
	} else {
		b.awaiting = append(b.awaiting, awaiting{len(b.rec.entries) - 1, call, slices.Clone(args), p})
	}
	c.bind(args)
	b.recorded()
	return nil
}
