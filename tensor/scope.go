package tensor

// Scope owns the tensors made while it is the innermost open one of its device.
// Scopes nest: they close in the opposite order in which they were opened.
type Scope struct {
	dev    *Device
	parent *Scope
	owned  []*storage
	first  [2]*storage // owned's memory, for as long as it is enough: most scopes are an operation's
	closed bool

	// Tag belongs to whoever opened the scope; a tape leaves itself here.
	Tag any
}

// Scope opens a scope: every tensor made from now on is freed by its Close.
func (d *Device) Scope() *Scope {
	s := new(Scope)
	d.OpenScope(s)
	return s
}

// OpenScope is Scope in memory of the caller's, who may use it again once the scope is closed.
func (d *Device) OpenScope(s *Scope) {
	*s = Scope{dev: d, parent: d.must("scope").scope}
	s.owned = s.first[:0]
	d.scope = s
}

// CurrentScope is the innermost open scope, or nil.
func (d *Device) CurrentScope() *Scope { return d.must("current_scope").scope }

// must is the scope, if there is one.
func (s *Scope) must(op string) *Scope {
	if s == nil || s.dev == nil {
		Panicf(op, "want a scope that Device.Scope has opened, got none")
	}
	return s
}

// Parent is the scope around s, or nil.
func (s *Scope) Parent() *Scope { return s.must("parent").parent }

// Owns reports whether the tensor's memory would be freed by Close.
func (s *Scope) Owns(t *Tensor) bool { return t.must("owns").st.scope == s.must("owns") }

// Keep moves tensors of this scope to the scope around it or, where there is
// none, to the garbage collector. Tensors of other scopes stay where they are.
func (s *Scope) Keep(ts ...*Tensor) {
	if s.must("keep").closed {
		Panicf("keep", "the scope has closed")
	}
	for _, t := range ts {
		t.mustLive("keep")
		if t.st.scope != s {
			continue
		}
		t.st.scope = s.parent
		if s.parent != nil {
			s.parent.owned = append(s.parent.owned, t.st)
		} else {
			s.dev.collect(t.st)
		}
	}
}

// Close frees what the scope still owns, and closes scopes that were opened inside it
// and are still open (a panic may have skipped their Close). A second Close does
// nothing.
func (s *Scope) Close() {
	s.must("close")
	if s.closed {
		return
	}
	for s.dev.scope != s {
		s.dev.scope.Close()
	}
	s.closed = true
	s.dev.scope = s.parent
	for _, st := range s.owned {
		if st.scope == s && st.freed == "" {
			s.dev.release(st, "the scope (or tape) it was made in has closed; Keep moves a tensor out")
		}
	}
	s.owned, s.first = nil, [2]*storage{}
}
