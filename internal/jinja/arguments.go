package jinja

import "strings"

// noKeywords fails where arguments are given by name that have none.
func (m *machine) noKeywords(what string, kw *keywords) {
	if kw.len() > 0 {
		m.fail("%s: want arguments by place, got %.40q by name", what, kw.names[0])
	}
}

// want fails unless there are n arguments, all by place.
func (m *machine) want(what string, args []Value, kw *keywords, n int) {
	m.noKeywords(what, kw)
	if len(args) != n {
		m.fail("%s: want %d arguments, got %d", what, n, len(args))
	}
}

// bind gives arguments the places that names says: a name with ? may be missing, and is
// absent then; one with / is given by place only.
func (m *machine) bind(what string, names string, args []Value, kw *keywords) []Value {
	list := strings.Fields(names)
	if len(args) > len(list) {
		m.fail("%s: want at most %d arguments, got %d", what, len(list), len(args))
	}
	m.spend(sizeItem * len(list))
	out := make([]Value, len(list))
	used := 0
	for i, name := range list {
		optional, place := strings.Contains(name, "?"), strings.Contains(name, "/")
		name = strings.Trim(name, "?/")
		out[i] = absent
		given := false
		for k := range kw.len() {
			if kw.names[k] == name && !place {
				out[i], given = kw.values[k], true
				used++
			}
		}
		switch {
		case i < len(args) && given:
			m.fail("%s: want %s once, got it twice", what, name)
		case i < len(args):
			out[i] = args[i]
		case !given && !optional:
			m.fail("%s: want the argument %s, got none", what, name)
		}
	}
	if used < kw.len() {
		m.fail("%s: want the arguments %s, got others by name: %.60q", what,
			strings.NewReplacer("?", "", "/", "").Replace(strings.Join(list, ", ")), kw.names)
	}
	return out
}

// wantString fails for what is no string.
func (m *machine) wantString(what string, v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case markup:
		m.fail("%s: want a string that is not marked as safe, got one", what)
	case *undefined:
		m.failUndefined(v)
	}
	m.fail("%s: want a string, got %s", what, typeName(v))
	return ""
}

// wantInteger fails for what is no integer.
func (m *machine) wantInteger(what string, v Value) int64 {
	if i, ok := asInteger(v); ok {
		return i
	}
	m.defined(v)
	m.fail("%s: want an integer, got %s", what, typeName(v))
	return 0
}

// soft is jinja2's soft_str: strings as they are, other values written.
func (m *machine) soft(what string, v Value) string {
	if _, ok := v.(markup); ok {
		m.fail("%s: want a string that is not marked as safe, got one", what)
	}
	return m.str(v)
}

// given tells whether an optional argument is there.
func given(v Value) bool { return v != absent }

// orElse gives a value for an argument that is missing.
func orElse(v, other Value) Value {
	if v == absent {
		return other
	}
	return v
}

func (m *machine) method(of Value, name string, call func(*machine, []Value, *keywords) Value) *method {
	m.spend(sizeThing)
	return &method{name, of, call}
}
