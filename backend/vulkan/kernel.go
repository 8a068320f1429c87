package vulkan

import (
	"encoding/binary"
	"fmt"

	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// kernel is one of the shaders with the pipelines that were made of it so far.
type kernel struct {
	shaders.Desc
	tile      shaders.Tile
	pipelines map[variant]uint64
}

// variant is what a pipeline is specialised for.
type variant struct {
	consts  [12]uint32
	storage [4]uint8 // of T, U, V, W
	present uint16   // a bit for each optional binding
}

// Numbers of specialization constants, as in shaders/include/kernel.glsl.
const (
	firstTile    = 0
	firstConst   = 4
	firstStorage = 16
	firstOption  = 32
)

// storages are the numbers of storage types in the same file, plus 1; f64 is for the CPU's checks alone.
var storages = [tensor.Packed + 1]uint8{tensor.F32: 1, tensor.F16: 2, tensor.BF16: 3, tensor.Q8: 4, tensor.Q4: 5}

// storage is the number of one.
func storage(dt tensor.DType) (uint8, error) {
	if dt > tensor.Packed || storages[dt] == 0 {
		return 0, fmt.Errorf("the shaders read no %s", dt)
	}
	return storages[dt] - 1, nil
}

// fewestInvocations of a workgroup are what every kernel still works with.
const fewestInvocations = 64

func (b *backend) kernel(name string) (*kernel, error) {
	if k, ok := b.kernels[name]; ok {
		return k, nil
	}
	d, ok := shaders.Find(name)
	if !ok {
		return nil, fmt.Errorf("no such shader")
	}
	k := &kernel{Desc: d, tile: d.Tile, pipelines: map[variant]uint64{}}
	for k.tile[0] > fewestInvocations && int(k.tile[0]) > b.limits.Invocations {
		k.tile[0] /= 2
	}
	if n := int(k.tile[0]); n > b.limits.Invocations {
		return nil, fmt.Errorf("%d invocations in a workgroup, the device takes %d", n, b.limits.Invocations)
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

// constants are the specialization constants of a variant. Every one is given: validation
// takes some defaults for zero.
func (k *kernel) constants(v variant, consts int) []constant {
	var list []constant
	add := func(id int, value uint32) { list = append(list, constant{uint32(id), value}) }
	for i := range k.TileNames {
		add(firstTile+i, k.tile[i])
	}
	for i := range consts {
		add(firstConst+i, v.consts[i])
	}
	for letter := range v.storage {
		add(firstStorage+letter, uint32(v.storage[letter]))
	}
	for i, b := range k.Args {
		if b.Optional {
			add(firstOption+i, uint32(v.present>>i&1))
		}
	}
	return list
}

// pipeline is the one for this call, made when it is first needed.
func (b *backend) pipeline(k *kernel, call tensor.Kernel, args []tensor.Arg) (uint64, error) {
	v, err := k.variantOf(call, args)
	if err != nil {
		return 0, err
	}
	p, ok := k.pipelines[v]
	if !ok {
		list := k.constants(v, len(call.Consts()))
		if err := b.mustHaveShared(k.Desc, list); err != nil {
			return 0, err
		}
		if p, err = b.hw.pipeline(k.Desc, list); err != nil {
			return 0, err
		}
		k.pipelines[v] = p
	}
	return p, nil
}

// dispatch records one kernel.
func (b *backend) dispatch(call tensor.Kernel, args []tensor.Arg) error {
	k, err := b.kernel(call.Name())
	if err != nil {
		return err
	}
	groups := call.Grid(k.tile)
	for i, n := range groups {
		if n == 0 {
			return nil
		}
		if int(n) > b.limits.Groups[i] {
			return fmt.Errorf("%d workgroups in dimension %d, the device takes %d: fewer rows in a batch need fewer", n, i, b.limits.Groups[i])
		}
	}
	pipeline, err := b.pipeline(k, call, args)
	if err != nil {
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
	c := b.rec.add(dispatchCommand, b.reads, b.writes)
	c.pipeline, c.groups, c.pushed = pipeline, groups, uint32(copy(c.push[:], b.push))
	b.recorded(call.Name())
	return nil
}
