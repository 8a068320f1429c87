package nn

// Joiner is a Layer that can compute with others of the same input at once.
type Joiner interface {
	Layer
	// ForwardAll is what each of the layers, of which it is the first, makes of x; nil: let them compute one by one.
	ForwardAll(x *Var, layers []Layer) []*Var
}

// forwardAll is what each layer makes of x.
func forwardAll(x *Var, layers ...Layer) []*Var {
	if j, ok := layers[0].(Joiner); ok {
		if ys := j.ForwardAll(x, layers); ys != nil {
			return ys
		}
	}
	ys := make([]*Var, len(layers))
	for i, l := range layers {
		ys[i] = l.Forward(x)
	}
	return ys
}
