package jinja

import (
	"fmt"
	"math"
	"strings"
)

// Value is what a template computes with: nil (None), bool, int64, float64, string,
// *List, *Tuple, *Dict, and what only templates make.
type Value = any

type (
	// List is Python's list. Templates cannot change it.
	List struct{ Items []Value }
	// Tuple is Python's tuple.
	Tuple struct {
		Items []Value
		names []string // of a named one
	}
	// markup is a string that filters like safe have marked; in jinja2 it escapes what is
	// added to it. Printed it is the string. What else one could do with it is refused.
	markup string
	// templateText is what stands between tags.
	templateText string

	undefined struct {
		hint   string
		of     string // the type of the object that lacks name, or ""
		name   Value
		unsafe bool // the sandbox forbids it
	}
	namespace struct{ attrs *Dict }
	span      struct{ from, to, by, n int64 } // range
	view      struct {                        // keys, values or items of a mapping
		kind string
		dict *Dict
	}
	iterator struct {
		kind string
		next func() (Value, bool)
	}
	method struct { // bound to a value
		name string
		of   Value
		call func(m *machine, args []Value, kw *keywords) Value
	}
	function struct {
		name string
		call func(m *machine, args []Value, kw *keywords) Value
	}
	macro struct {
		body  *macroBody
		outer *activation
	}
	cycler struct {
		items []Value
		pos   int
	}
	joiner struct {
		sep  Value
		used bool
	}
	absentValue struct{}
)

// absent is an argument that is not given, and a variable without a value.
var absent Value = &absentValue{}

// keywords are arguments given by name, in their order.
type keywords struct {
	names  []string
	values []Value
}

func (k *keywords) len() int {
	if k == nil {
		return 0
	}
	return len(k.names)
}

// Entry is one of a mapping's.
type Entry struct{ Key, Value Value }

// Dict is Python's dict: a mapping that keeps the order of its entries. A nil Dict is empty.
type Dict struct {
	entries []Entry
	index   map[any]int
}

// Pairs makes a Dict of names and values in turn: Pairs("role", "user", "content", "hi").
func Pairs(namesAndValues ...Value) *Dict {
	d := &Dict{}
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		d.Set(namesAndValues[i].(string), namesAndValues[i+1])
	}
	return d
}

// Len is the number of entries.
func (d *Dict) Len() int {
	if d == nil {
		return 0
	}
	return len(d.entries)
}

// Entries are all of them in order. They must not be changed.
func (d *Dict) Entries() []Entry {
	if d == nil {
		return nil
	}
	return d.entries
}

// Set adds an entry, or changes it in its place.
func (d *Dict) Set(name string, v Value) { d.put(name, name, v) }

// Get gives the value of a name.
func (d *Dict) Get(name string) (Value, bool) { return d.at(name) }

func (d *Dict) put(hash any, key, v Value) {
	if d.index == nil {
		d.index = map[any]int{}
	}
	if i, ok := d.index[hash]; ok {
		d.entries[i].Value = v
		return
	}
	d.index[hash] = len(d.entries)
	d.entries = append(d.entries, Entry{key, v})
}

func (d *Dict) at(hash any) (Value, bool) {
	if d == nil {
		return nil, false
	}
	i, ok := d.index[hash]
	if !ok {
		return nil, false
	}
	return d.entries[i].Value, true
}

// tupleHash, noneHash, undefinedHash and objectHash are keys of no other type.
type (
	tupleHash     string
	noneHash      struct{}
	undefinedHash struct{}
)

// hash gives a key under which equal values are found: 1, 1.0 and True are one. Values that
// Python cannot hash give false.
func (m *machine) hash(v Value) (any, bool) {
	switch v := v.(type) {
	case nil:
		return noneHash{}, true
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	case int64:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v), true
		}
		if math.IsNaN(v) {
			m.fail("want a key that equals itself, got nan")
		}
		return v, true
	case string:
		return v, true
	case markup:
		return string(v), true
	case *undefined:
		return undefinedHash{}, true
	case *Tuple:
		m.enter()
		defer m.leave()
		var s strings.Builder
		for _, i := range v.Items {
			m.step(1)
			h, ok := m.hash(i)
			if !ok {
				return nil, false
			}
			one := fmt.Sprintf("%T %v", h, h)
			m.spend(3 * len(one))
			fmt.Fprintf(&s, "%d %s ", len(one), one)
		}
		return tupleHash(s.String()), true
	case *span, *iterator, *method, *function, *macro, *loop, *namespace, *cycler, *joiner:
		if _, ok := v.(*span); ok {
			m.fail("want a key other than a range, got one")
		}
		return v, true
	}
	return nil, false
}

// mustHash is hash, with Python's error.
func (m *machine) mustHash(v Value) any {
	h, ok := m.hash(v)
	if !ok {
		m.fail("unhashable type: %s", typeName(v))
	}
	return h
}

// Sizes are taken from the budget before anything is made.

func (m *machine) list(items []Value) *List { return &List{items} }

// newItems gives room for n values.
func (m *machine) newItems(n int) []Value {
	m.spend(sum(sizeThing, product(sizeItem, n)))
	return make([]Value, 0, n)
}

// add appends where the number was not known; what append makes anew is taken before.
func (m *machine) add(items []Value, v Value) []Value {
	m.step(1)
	if len(items) == cap(items) {
		m.spend(sizeItem * (2*len(items) + 1))
	}
	return append(items, v)
}

func (m *machine) newDict() *Dict {
	m.spend(sizeThing)
	return &Dict{}
}

func (m *machine) put(d *Dict, key, v Value) {
	m.spend(sizeEntry)
	d.put(m.mustHash(key), key, v)
}

// text takes the budget for a new string.
func (m *machine) text(s string) string {
	m.spend(sizeBox + len(s))
	return s
}

func (m *machine) integer(v int64) Value {
	if v < 0 || v > 255 { // Go has these
		m.spend(sizeBox)
	}
	return v
}

func (m *machine) float(v float64) Value {
	m.spend(sizeBox)
	return v
}

// typeName is Python's name of a value's type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *List:
		return "list"
	case *Tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *span:
		return "range"
	case *view:
		return "dict_" + v.kind
	case *iterator:
		return v.kind
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	case *cycler:
		return "Cycler"
	case *joiner:
		return "Joiner"
	}
	return "function"
}

func (u *undefined) message() string {
	if u.hint != "" {
		return u.hint
	}
	name := fmt.Sprint(u.name)
	if s, ok := u.name.(string); ok {
		name = fmt.Sprintf("%.60q", s)
	}
	if u.of == "" {
		return name + " is undefined"
	}
	return fmt.Sprintf("%s has no %s", u.of, name)
}

// failUndefined is what most operations on an undefined value do.
func (m *machine) failUndefined(u *undefined) { m.fail("%s", u.message()) }

// defined fails for undefined values.
func (m *machine) defined(values ...Value) {
	for _, v := range values {
		if u, ok := v.(*undefined); ok {
			m.failUndefined(u)
		}
	}
}

// truth is Python's bool(v).
func (m *machine) truth(v Value) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *Tuple:
		return len(v.Items) > 0
	case *Dict:
		return v.Len() > 0
	case *undefined:
		return false
	case *span:
		return v.n > 0
	case *view:
		return v.dict.Len() > 0
	case *loop:
		return m.loopLength(v) > 0
	}
	return true
}

// length is Python's len(v), where v has one.
func (m *machine) length(v Value) (int, bool) {
	switch v := v.(type) {
	case string:
		return m.runeCount(v), true
	case markup:
		return m.runeCount(string(v)), true
	case *List:
		return len(v.Items), true
	case *Tuple:
		return len(v.Items), true
	case *Dict:
		return v.Len(), true
	case *undefined:
		return 0, true
	case *span:
		return int(v.n), true
	case *view:
		return v.dict.Len(), true
	case *loop:
		return m.loopLength(v), true
	}
	return 0, false
}

// asString gives a string, marked or not.
func asString(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// asInteger gives what Python takes for an index: integers and truth values.
func asInteger(v Value) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// items gives an iterator over v, or false.
func (m *machine) iterate(v Value) (*iterator, bool) {
	over := func(items []Value) *iterator {
		i := 0
		return &iterator{"iterator", func() (Value, bool) {
			if i == len(items) {
				return nil, false
			}
			i++
			return items[i-1], true
		}}
	}
	m.spend(sizeThing)
	switch v := v.(type) {
	case string:
		return m.runes(v), true
	case markup:
		m.fail("want a string that is not marked as safe, got one")
	case *List:
		return over(v.Items), true
	case *Tuple:
		return over(v.Items), true
	case *Dict:
		return m.iterateView(&view{"keys", v}), true
	case *view:
		return m.iterateView(v), true
	case *undefined:
		return over(nil), true
	case *span:
		i := int64(0)
		return &iterator{"range_iterator", func() (Value, bool) {
			if i == v.n {
				return nil, false
			}
			i++
			return m.integer(v.from + (i-1)*v.by), true
		}}, true
	case *iterator:
		return v, true
	case *loop:
		m.fail("want a loop's items, got the loop itself")
	}
	return nil, false
}

func (m *machine) iterateView(v *view) *iterator {
	i := 0
	entries := v.dict.Entries()
	return &iterator{"dict_iterator", func() (Value, bool) {
		if i == len(entries) {
			return nil, false
		}
		e := entries[i]
		i++
		switch v.kind {
		case "keys":
			return e.Key, true
		case "values":
			return e.Value, true
		}
		m.spend(sizeThing + 2*sizeItem)
		return &Tuple{Items: []Value{e.Key, e.Value}}, true
	}}
}

// mustIterate is iterate, with Python's error.
func (m *machine) mustIterate(v Value) *iterator {
	it, ok := m.iterate(v)
	if !ok {
		m.fail("%s is not iterable", typeName(v))
	}
	return it
}

// collect gives all items of v in a new slice.
func (m *machine) collect(v Value) []Value {
	switch v := v.(type) {
	case *List:
		return append(m.newItems(len(v.Items)), v.Items...)
	case *Tuple:
		return append(m.newItems(len(v.Items)), v.Items...)
	}
	it := m.mustIterate(v)
	m.spend(sizeThing)
	var items []Value
	for {
		i, ok := it.next()
		if !ok {
			return items
		}
		items = m.add(items, i)
	}
}

// elements gives all items of v, which are not to be changed.
func (m *machine) elements(v Value) []Value {
	switch v := v.(type) {
	case *List:
		return v.Items
	case *Tuple:
		return v.Items
	}
	return m.collect(v)
}
