package llama

// Repeats reports whether the kernels of the last tokens are run again for the next.
func (d *Decoder) Repeats() bool { return d.same != nil }

// Kernels is how many the next token will run, 0 if layers will be asked.
func (d *Decoder) Kernels() int {
	if d.same == nil || d.same.Recording == nil {
		return 0
	}
	return len(d.same.Calls)
}

// AskAlways has the layers asked for every token.
func (d *Decoder) AskAlways() { d.unlike = true }
