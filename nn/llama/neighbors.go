package llama

import (
	"strings"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// neighbors are matrices of one part of a block, in the model's order, of one type and one width: q, k and v, or
// gate and up. On a CPU, whose kernels read anywhere, they have one piece of memory, in which they lie one behind the
// other: a single row is multiplied with all that see it by one product (nn.Linear.ForwardAll).
type neighbors struct {
	part   string // as the names of its parameters begin
	dt     tensor.DType
	width  int
	params []*nn.Param
	rows   []int // of each
}

// add places those so far, if the next is none of them.
func (n *neighbors) add(d *tensor.Device, name string, p *nn.Param, l layout) {
	part := partOf(name)
	if part != n.part || l.dt != n.dt || l.shape[1] != n.width {
		n.place(d)
	}
	n.part, n.dt, n.width = part, l.dt, l.shape[1]
	n.params, n.rows = append(n.params, p), append(n.rows, l.shape[0])
}

// partOf is a parameter's name without what names its layer and what of that it is: model.layers.0.mlp of
// model.layers.0.mlp.up_proj.weight.
func partOf(name string) string {
	for range 2 {
		name = name[:max(0, strings.LastIndexByte(name, '.'))]
	}
	return name
}

// place gives the parameters memory, and forgets them.
func (n *neighbors) place(d *tensor.Device) {
	if len(n.params) == 0 {
		return
	}
	total, at := 0, 0
	for _, rows := range n.rows {
		total += rows
	}
	all := d.NewExact(n.dt, total, n.width)
	if len(n.params) == 1 {
		n.params[0].Value = all
	} else {
		for i, p := range n.params {
			p.Value = all.View(at*n.width, n.rows[i], n.width)
			at += n.rows[i]
		}
	}
	*n = neighbors{}
}
