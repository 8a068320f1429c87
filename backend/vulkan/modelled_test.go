//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan

import (
	"slices"

	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// modelled is a device that seems to have matrices of workgroups: the shader with them is another SPIR-V, where a
// workgroup is one subgroup.
type modelled struct {
	hardware
	code     []byte
	granules []granules
}

func (h *modelled) workgroups() []granules { return h.granules }

func (h *modelled) pipeline(code []byte, c *constants, subgroup int) (uint64, error) {
	if subgroup == 0 { // what has matrices of subgroups names their size
		code, subgroup = h.code, int(c[firstTile])
	}
	return h.hardware.pipeline(code, c, subgroup)
}

// OpenModelled opens a device that runs this SPIR-V as a shader with matrices of workgroups, and that one with these
// sizes of a tile alone; nil where the device has not what a model needs.
func OpenModelled(o Options, code []byte, shader string, bm, bn, bk uint32) (tensor.Backend, error) {
	o.WorkgroupMatrices = true
	opened, err := Open(o)
	if err != nil {
		return nil, err
	}
	b := opened.(*backend)
	shapes, subgroup := b.hw.matrices()
	h := &modelled{hardware: b.hw, code: code}
	for _, m := range shapes {
		if m.a == "f16" && m.b == "f16" && m.c == "f32" {
			h.granules = append(h.granules, granules{m, subgroup, 1 << 10}, granules{m, 128, 1 << 10}) // so that a tile of its own fits
		}
	}
	if !b.hw.(*gpu).info.flexible || h.granules == nil {
		return nil, opened.Close()
	}
	b.hw, b.tiles = h, map[string]shaders.Tile{shader: {uint32(subgroup), bm, bn, bk}}
	return b, nil
}

// widening is a device that seems to have matrices of bf16 beside those of f16.
type widening struct{ hardware }

func (h widening) matrices() (shapes []matrix, subgroup int) {
	shapes, subgroup = h.hardware.matrices()
	for _, m := range slices.Clone(shapes) {
		if m.a == "f16" && m.b == "f16" {
			m.a, m.b = "bf16", "bf16"
			shapes = append(shapes, m)
		}
	}
	return shapes, subgroup
}

// OpenWidening opens a device whose forms with matrices of bf16 run these SPIR-Vs, by kernel, which have such of f16 in their place.
func OpenWidening(o Options, codes map[string][]byte) (tensor.Backend, error) {
	opened, err := Open(o)
	if err != nil {
		return nil, err
	}
	b := opened.(*backend)
	b.hw = widening{b.hw}
	for name, code := range codes {
		k, err := b.kernel(name)
		if err != nil {
			return nil, err
		}
		for _, f := range k.forms {
			if f.matrix.a == "bf16" {
				f.code = func() []byte { return code }
			}
		}
	}
	return b, nil
}

// DefaultSubgroups has the backend's pipelines take the device's own size of subgroups, as where none may be asked for.
// It reports the size that a pipeline which needs this one then asks for.
func DefaultSubgroups(b tensor.Backend, size int) (asked int) {
	g := b.(*backend).hw.(*gpu)
	g.facts.features &^= asksForSizes
	return g.sizeAsked(size)
}

// MakeInSubgroups has the driver make a pipeline that needs subgroups of this size, whatever the device has, and gives what the
// validation layer says of it.
func MakeInSubgroups(b tensor.Backend, size int) error {
	k, err := b.(*backend).kernel("fill")
	if err != nil {
		return err
	}
	f := k.forms[len(k.forms)-1]
	c := k.constants(f, variant{tile: f.tiles[0]})
	if _, err := b.(*backend).hw.pipeline(f.code(), &c, size); err != nil {
		return err
	}
	return messages()
}
