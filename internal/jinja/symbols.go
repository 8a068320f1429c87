package jinja

import (
	"fmt"
	"slices"
)

// jinja2 compiles a template to Python, and what a name means follows from that: a name is
// a variable of the innermost frame that assigns it, read at the frame's beginning from the
// frame outside or from the context, and macros see the variables around them as closures
// do. This file finds for each name the variable that jinja2's compiler would take.

// code is what Python would compile as one function; its variables have places.
type code struct {
	outer  *code
	places map[string]int
}

func (c *code) place(ident string) int {
	if i, ok := c.places[ident]; ok {
		return i
	}
	i := len(c.places)
	c.places[ident] = i
	return i
}

// reference is a variable: of the code so many levels out, at this place.
type reference struct{ up, place int }

// variable is a name's meaning in a frame.
type variable struct {
	code  *code
	place int
}

type loadKind int

const (
	loadParameter loadKind = iota // it has its value before the frame begins
	loadResolve                   // from the context
	loadAlias                     // from a variable of a frame outside
	loadUndefined
)

// load says what a variable is at the beginning of a frame.
type load struct {
	kind  loadKind
	name  string
	to    reference
	alias reference
}

// symbols are the names of a frame. They follow jinja2's rules to the letter.
type symbols struct {
	level  int
	outer  *symbols
	code   *code
	refs   map[string]variable
	loads  map[variable]loadOf
	order  []variable // of loads
	stores map[string]bool
	work   *int // names copied so far
}

// maxSymbols bounds the names that are copied for the branches of if statements.
const maxSymbols = 200_000

type loadOf struct {
	kind  loadKind
	name  string
	alias variable
}

func newSymbols(outer *symbols, c *code) *symbols {
	s := &symbols{outer: outer, code: c, refs: map[string]variable{}, loads: map[variable]loadOf{},
		stores: map[string]bool{}}
	if outer != nil {
		s.level, s.work = outer.level+1, outer.work
	} else {
		s.work = new(int)
	}
	return s
}

func (s *symbols) clone() *symbols {
	if *s.work += len(s.refs) + len(s.loads) + 1; *s.work > maxSymbols {
		panic(&Error{Limit: LimitNesting, Message: fmt.Sprintf("limit of %s: want fewer names in fewer if statements",
			LimitNesting)})
	}
	c := *s
	c.refs, c.loads, c.stores = map[string]variable{}, map[variable]loadOf{}, map[string]bool{}
	for k, v := range s.refs {
		c.refs[k] = v
	}
	for k, v := range s.loads {
		c.loads[k] = v
	}
	for k := range s.stores {
		c.stores[k] = true
	}
	c.order = slices.Clone(s.order)
	return &c
}

func (s *symbols) find(name string) (variable, bool) {
	for ; s != nil; s = s.outer {
		if v, ok := s.refs[name]; ok {
			return v, true
		}
	}
	return variable{}, false
}

func (s *symbols) isParameter(name string) bool {
	v, _ := s.find(name)
	for ; s != nil; s = s.outer {
		if l, ok := s.loads[v]; ok {
			return l.kind == loadParameter
		}
	}
	return false
}

func (s *symbols) define(name string, l loadOf) variable {
	v := variable{s.code, s.code.place(fmt.Sprintf("%d %s", s.level, name))}
	s.refs[name] = v
	s.setLoad(v, l)
	return v
}

func (s *symbols) setLoad(v variable, l loadOf) {
	if _, ok := s.loads[v]; !ok {
		s.order = append(s.order, v)
	}
	s.loads[v] = l
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if _, ok := s.refs[name]; ok {
		return
	}
	if s.outer != nil {
		if v, ok := s.outer.find(name); ok {
			s.define(name, loadOf{kind: loadAlias, alias: v})
			return
		}
	}
	s.define(name, loadOf{kind: loadUndefined})
}

func (s *symbols) parameter(name string) variable {
	s.stores[name] = true
	return s.define(name, loadOf{kind: loadParameter})
}

func (s *symbols) load(name string) {
	if _, ok := s.find(name); !ok {
		s.define(name, loadOf{kind: loadResolve, name: name})
	}
}

// merge takes over what the branches of an if statement did.
func (s *symbols) merge(branches ...*symbols) {
	var stores []string
	for _, b := range branches {
		for name := range b.stores {
			if !s.stores[name] && !slices.Contains(stores, name) {
				stores = append(stores, name)
			}
		}
	}
	slices.Sort(stores)
	for _, b := range branches {
		for name, v := range b.refs {
			s.refs[name] = v
		}
		for _, v := range b.order {
			s.setLoad(v, b.loads[v])
		}
		for name := range b.stores {
			s.stores[name] = true
		}
	}
	for _, name := range stores {
		v, _ := s.find(name)
		if s.outer != nil {
			if outer, ok := s.outer.find(name); ok {
				s.setLoad(v, loadOf{kind: loadAlias, alias: outer})
				continue
			}
		}
		s.setLoad(v, loadOf{kind: loadResolve, name: name})
	}
}

// The names that statements of a frame read and assign, in order. What stands in frames
// of their own is left to them.

func (s *symbols) visit(e expression, parameters bool) {
	switch e := e.(type) {
	case nil:
	case *nameRef:
		s.load(e.name)
	case *target:
		if parameters {
			s.parameter(e.name)
		} else {
			s.store(e.name)
		}
	case *attrTarget:
		s.load(e.name)
	default:
		within(e, func(e expression) { s.visit(e, parameters) })
	}
}

func (s *symbols) visitAll(body []statement) {
	for _, st := range body {
		s.visitStatement(st)
	}
}

func (s *symbols) visitStatement(st statement) {
	switch st := st.(type) {
	case *output:
		for _, e := range st.items {
			s.visit(e, false)
		}
	case *ifStmt:
		s.visit(st.test, false)
		inner := func(visit func(*symbols)) *symbols {
			c := s.clone()
			visit(c)
			return c
		}
		s.merge(
			inner(func(c *symbols) { c.visitAll(st.body) }),
			inner(func(c *symbols) {
				for _, e := range st.elif {
					c.visitStatement(e)
				}
			}),
			inner(func(c *symbols) { c.visitAll(st.els) }),
		)
	case *forStmt:
		s.visit(st.iter, false)
	case *setStmt:
		s.visit(st.value, false)
		s.visit(st.target, false)
	case *setBlock:
		s.visit(st.target, false)
	case *macroStmt:
		s.store(st.name)
	case *callBlock:
		s.visit(st.call, false)
	case *filterBlock:
		s.visit(st.filter, false)
	case *withStmt:
		for _, v := range st.values {
			s.visit(v, false)
		}
	}
}
