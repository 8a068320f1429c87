package vulkan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// granules are products of matrices that a whole workgroup computes: of any multiples of m, n and k.
type granules struct {
	matrix
	invocations int // of the workgroup
	most        int // of m, n and k of a product
}

func (g granules) String() string { return fmt.Sprintf("%v of %d", g.matrix, g.invocations) }

// fits reports whether a workgroup can compute a tile {group, bm, bn, bk}. What it has computed must be a factor, too,
// which is how it is rounded.
func (g granules) fits(t shaders.Tile) bool {
	bm, bn, bk := int(t[1]), int(t[2]), int(t[3])
	return int(t[0]) == g.invocations && bm%g.m == 0 && bn%g.n == 0 && bk%g.k == 0 && bn%g.k == 0 && max(bm, bn, bk) <= g.most
}

// workgroupForms are an alternative for products with matrices of workgroups: one for each type of factors.
func workgroupForms(a shaders.Alternative, list []granules, l Limits) (forms []*form) {
	for _, dt := range []tensor.DType{tensor.F16, tensor.BF16} {
		code := a.SPIRV[dt.String()]
		own := slices.DeleteFunc(slices.Clone(list), func(g granules) bool {
			return code == nil || g.a != dt.String() || g.b != g.a || g.c != "f32"
		})
		fits := func(t shaders.Tile) bool {
			return slices.ContainsFunc(own, func(g granules) bool { return g.fits(t) })
		}
		f := &form{
			name: a.Name, alternative: true, code: code, calls: a.Takes, aligned: a.Aligned, whole: fits,
			pipelines: map[variant]*pipeline{}, factors: storages[dt] - 1,
		}
		var about []string
		for _, t := range launchable(a.Tiles, l) {
			if fits(t) {
				f.tiles = append(f.tiles, t)
				about = append(about, fmt.Sprintf("%dx%dx%d", t[1], t[2], t[3]))
			}
		}
		if f.about = fmt.Sprintf("%s: %s", dt, strings.Join(about, " ")); f.tiles != nil {
			forms = append(forms, f)
		}
	}
	return forms
}

// takesWhole is takes of a form with matrices of workgroups, which come from memory and go there as they are stored.
func (f *form) takesWhole(v variant) bool {
	c, a, b := v.storage[0], v.storage['U'-'T'], v.storage['W'-'T']
	return a == f.factors && b == f.factors && (c == f.factors || c == storages[tensor.F32]-1)
}
