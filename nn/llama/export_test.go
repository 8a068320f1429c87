package llama

// Repeats reports whether the kernels of the last tokens are run again for the next.
func (d *Decoder) Repeats() bool { return d.same != nil }

// AskAlways has the layers asked for every token.
func (d *Decoder) AskAlways() { d.unlike = true }
