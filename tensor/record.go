package tensor

import (
	"runtime"
	"slices"
)

// A Recording is kernels that have run, to be run again in their order without the code that asked for them, which for a
// token of a small model takes longer than they do. It holds the memory of all that was made between them.
type Recording struct {
	// Calls are the kernels. Their sizes, and how much of an argument they see, may be changed between runs: within the
	// arguments' memory, which nobody checks any more.
	Calls []Call

	dev     *Device // nil: it cannot be run
	uses    []*Tensor
	written []*Tensor // of uses
	out     []*Tensor
	own     []memory
	others  pool // while it is recorded: what is free and not its own
	cleanup runtime.Cleanup
}

// Call is a kernel and its arguments.
type Call struct {
	Kernel Kernel
	Args   []Arg
	Of     []*Tensor // the arguments, nil where one is not there, or was made and freed while the kernels were recorded
}

// Record runs f, which returns what of its own shall stay, and records its kernels; each run of the recording makes that anew. There
// is no recording, nil, where the next run could differ or nothing would be gained: f reads or writes numbers from the host, runs
// no kernel, or memory ran out; the device has a Trace, poisons, runs kernels later (Launching) or has failed. No tape may be open.
func (d *Device) Record(f func() []*Tensor) (*Recording, []*Tensor) {
	if !d.must("record").records() {
		return nil, f()
	}
	d.drain()
	r, recorded := &Recording{dev: d, others: d.pool}, false
	scope := d.Scope()
	d.recording, d.pool = r, pool{oldest: r.others.oldest}
	defer func() { // also after a panic
		scope.Close()
		for size, c := range d.pool.classes {
			for _, free := range c.free {
				r.own = append(r.own, memory{buf: free.Buffer, size: size})
			}
		}
		d.recording, d.pool, r.others = nil, r.others, pool{}
		if !recorded {
			r.dev = nil
			d.recycleAll(r.own)
			return
		}
		r.cleanup = runtime.AddCleanup(r, d.recycleLater, r.own)
	}()
	r.out = f()
	for s := scope; s != nil; s = s.parent {
		s.Keep(r.out...)
	}
	if scope.Close(); r.dev == nil || d.err != nil || len(r.Calls) == 0 {
		return nil, r.out
	}
	for _, c := range r.Calls {
		for i, t := range c.Of {
			switch {
			case t == nil:
			case t.st.freed != "":
				c.Of[i] = nil
			case !slices.Contains(r.uses, t):
				r.uses = append(r.uses, t)
			}
		}
		for _, t := range Written(c.Kernel, c.Of) {
			if !slices.Contains(r.written, t) {
				r.written = append(r.written, t)
			}
		}
	}
	recorded = true
	return r, r.out
}

// records reports whether Record may record.
func (d *Device) records() bool {
	_, hosted := d.b.(Hosted)
	return hosted && d.recording == nil && !d.Launches() && !d.IsMeta() && !d.poison && d.err == nil && !d.traced()
}

func (d *Device) traced() bool {
	return slices.ContainsFunc(d.traces, func(f func(Kernel, []*Tensor)) bool { return f != nil })
}

// spoil ends what is being recorded: it cannot be run again.
func (d *Device) spoil() {
	if d.recording != nil {
		d.recording.dev = nil
	}
}

// Again runs the kernels. It reports false, having run nothing, where a tensor that they use has been freed, or the device has a
// Trace or has failed.
func (r *Recording) Again() bool {
	d := r.dev
	if d == nil || d.err != nil || d.recording != nil || d.traced() {
		return false
	}
	for _, t := range r.uses {
		if t.st.freed != "" {
			return false
		}
	}
	for i := range r.Calls {
		d.b.Run(r.Calls[i].Kernel, r.Calls[i].Args)
	}
	for _, t := range r.written {
		t.st.version++
	}
	return true
}

// Close gives the memory back now; without it the garbage collector does. A second Close does nothing.
func (r *Recording) Close() {
	d := r.dev
	if d == nil {
		return
	}
	r.dev = nil
	r.cleanup.Stop()
	d.recycleAll(r.own)
	for _, t := range r.out {
		if t.Alive() {
			t.Free("its recording has been closed")
		}
	}
	r.Calls, r.uses, r.written, r.out, r.own = nil, nil, nil, nil, nil
}

// spare is what is free for anybody, and not for what is being recorded alone.
func (d *Device) spare() *pool {
	if d.recording != nil {
		return &d.recording.others
	}
	return &d.pool
}

func (d *Device) recycleAll(list []memory) {
	for _, m := range list {
		d.recycle(m, &d.pool)
	}
}

// recycleLater is for the garbage collector.
func (d *Device) recycleLater(list []memory) {
	d.mu.Lock()
	d.deferred = append(d.deferred, list...)
	d.mu.Unlock()
}
