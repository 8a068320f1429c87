package tensor

import (
	"fmt"
	"slices"
	"sync"

	"github.com/agora-ml/agora/shaders"
)

// Run checks the arguments against the kernel's contract and runs it. Arguments
// stand in the order of the bindings; optional ones may be nil.
func (d *Device) Run(k Kernel, args ...*Tensor) {
	d.must("run")
	if k == nil {
		Panicf("run", "want a kernel, got nil")
	}
	c := contractOf(k)
	if len(args) != len(c.Args) {
		Panicf(k.Name(), "%d arguments for the %d bindings of %q", len(args), len(c.Args), c.Sig)
	}
	var err error
	if d.push, err = k.Push(d.push[:0]); err != nil {
		Panicf(k.Name(), "%v", err)
	}
	d.args = d.args[:0]
	var letters ['Z' + 1]*Tensor // the first argument of each letter
	d.lens = k.Lens(d.lens[:0])
	for i, t := range args {
		b := c.Args[i]
		if t == nil {
			if !b.Optional {
				Panicf(k.Name(), "%s is nil", c.arg(i, t))
			}
			d.args = append(d.args, Arg{})
			continue
		}
		t.mustLive(k.Name())
		switch first := letters[b.Letter]; {
		case t.st.dev != d:
			Panicf(k.Name(), "%s lives on another device", c.arg(i, t))
		case (b.Letter == 'I') != (t.dtype == I32):
			Panicf(k.Name(), "%s: want %s", c.arg(i, t), map[bool]string{true: "i32", false: "floats"}[b.Letter == 'I'])
		case !t.dtype.IsFloat() && b.Letter != 'I' && b.Letter != 'W':
			Panicf(k.Name(), "%s: only a weight may be quantized", c.arg(i, t))
		case b.Written && t.st.borrowed:
			Panicf(k.Name(), "%s: want memory that may be written to, got what Device.Borrow was given", c.arg(i, t))
		case first != nil && first.dtype != t.dtype:
			Panicf(k.Name(), "%s: want %s, as %s", c.arg(i, t), first.dtype, first)
		case d.lens[i] >= 0 && d.lens[i] != t.n:
			Panicf(k.Name(), "%s: want %d elements", c.arg(i, t), d.lens[i])
		}
		letters[b.Letter] = t
		d.args = append(d.args, t.arg())
	}
	c.mustNotOverlap(args)
	for i, t := range args {
		if t != nil && c.Args[i].Written {
			t.st.version++
		}
	}
	for _, f := range d.traces {
		if f != nil {
			f(k, slices.Clone(args)) // so that args need not be on the heap where nobody traces
		}
	}
	if r := d.recording; r != nil {
		r.Calls = append(r.Calls, Call{k, slices.Clone(d.args), slices.Clone(args)})
	}
	if d.err == nil {
		d.b.Run(k, d.args)
	}
}

// Trace calls f for every kernel from now on, before it runs, until stop is called.
func (d *Device) Trace(f func(k Kernel, args []*Tensor)) (stop func()) {
	d.must("trace")
	i := len(d.traces)
	d.traces = append(d.traces, f)
	return func() { d.traces[i] = nil }
}

// Timed calls f with how long every kernel from now on has run, in their order: on the CPU at once,
// elsewhere later, at the latest when a tensor is read or the device closed. It reports false for a
// device that does not know.
func (d *Device) Timed(f func(Timing)) bool {
	t, ok := d.b.(Timer)
	if ok {
		t.Time(f)
	}
	return ok
}

// AtEnd calls f when the device has been closed.
func (d *Device) AtEnd(f func()) { d.atEnd = append(d.atEnd, f) }

// BeforeEnd calls f when the device is about to be closed, and its memory is still there.
func (d *Device) BeforeEnd(f func()) { d.beforeEnd = append(d.beforeEnd, f) }

// Written are the arguments that a kernel writes, without optional ones that are not there.
func Written(k Kernel, args []*Tensor) (out []*Tensor) {
	for i, b := range contractOf(k).Args {
		if b.Written && args[i] != nil {
			out = append(out, args[i])
		}
	}
	return out
}

func (t *Tensor) arg() Arg { return Arg{Buf: t.st.buf, Offset: t.off, N: t.n, DType: t.dtype} }

// contract is a kernel's description with its parsed signature.
type contract struct{ shaders.Desc }

var contracts sync.Map // kernel name → *contract

func contractOf(k Kernel) *contract {
	if c, ok := contracts.Load(k.Name()); ok {
		return c.(*contract)
	}
	desc, ok := shaders.Find(k.Name())
	if !ok {
		Panicf(k.Name(), "there is no such kernel: shaders.Register makes one of the caller's own known")
	}
	c := &contract{desc}
	contracts.Store(k.Name(), c)
	return c
}

// arg names argument i in a message.
func (c *contract) arg(i int, t *Tensor) string {
	if t == nil {
		return fmt.Sprintf("argument %d (%s)", i, c.Bindings[i])
	}
	return fmt.Sprintf("argument %d (%s), %s", i, c.Bindings[i], t)
}

// mustNotOverlap panics if an output shares memory with another argument, unless
// the kernel may work in place there and both are the very same elements.
func (c *contract) mustNotOverlap(args []*Tensor) {
	for i, out := range args {
		if out == nil || !c.Args[i].Written {
			continue
		}
		for j, t := range args {
			if t == nil || i == j || t.st != out.st || t.off >= out.off+out.Bytes() || out.off >= t.off+t.Bytes() {
				continue
			}
			if !c.mayBe(i, j) || t.off != out.off || t.dtype != out.dtype {
				Panicf(c.Name, "%s shares memory with %s", c.arg(i, out), c.arg(j, t))
			}
		}
	}
}

func (c *contract) mayBe(out, in int) bool {
	for _, p := range c.InPlace {
		if p == [2]int{out, in} {
			return true
		}
	}
	return false
}
