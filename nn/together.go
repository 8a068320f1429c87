package nn

// Joiner is a Layer that can compute with others of the same input at once.
type Joiner interface {
	Layer
	// ForwardAll is what each of the layers, of which it is one, makes of x; nil: they shall compute one by one, as it does not
	// know all of them or gains nothing here.
	ForwardAll(x *Var, layers []Layer) []*Var
}

// forwardAll is what each layer makes of x: together, if one of them knows how, else one by one.
func forwardAll(x *Var, layers ...Layer) []*Var {
	for _, l := range layers {
		if j, ok := l.(Joiner); ok {
			if ys := j.ForwardAll(x, layers); ys != nil {
				return ys
			}
		}
	}
	ys := make([]*Var, len(layers))
	for i, l := range layers {
		ys[i] = l.Forward(x)
	}
	return ys
}
