package jinja

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agora-ml/agora/internal/strictjson"
)

// filterToJSON is transformers' tojson: json.dumps without escapes for web pages.
func filterToJSON(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("tojson", "ensure_ascii? indent? separators? sort_keys?", args, kw)
	j := jsonWriter{writer: writer{m: m}, item: ", ", key: ": "}
	j.ascii = given(b[0]) && m.truth(b[0])
	j.sort = given(b[3]) && m.truth(b[3])
	if indent := orElse(b[1], nil); indent != nil {
		j.indented, j.item = true, ","
		if s, ok := indent.(string); ok {
			j.indent = s
		} else {
			n := int(max(m.wantInteger("tojson: indent", indent), 0))
			m.spend(n)
			j.indent = strings.Repeat(" ", n)
		}
	}
	if s := orElse(b[2], nil); s != nil {
		pair := m.elements(s)
		if len(pair) != 2 {
			m.fail("tojson: want two separators, got %d", len(pair))
		}
		j.item, j.key = m.wantString("tojson", pair[0]), m.wantString("tojson", pair[1])
	}
	j.value(v, 0)
	return j.String()
}

type jsonWriter struct {
	writer
	ascii, sort, indented bool
	indent, item, key     string
}

func (j *jsonWriter) value(v Value, depth int) {
	m := j.m
	if depth > maxValueDepth {
		m.exceed(LimitValues, "want at most %d values in one another, got more", maxValueDepth)
	}
	switch v := v.(type) {
	case nil:
		j.put("null")
	case bool:
		j.put(strconv.FormatBool(v))
	case int64:
		j.put(strconv.FormatInt(v, 10))
	case float64:
		j.put(jsonFloat(v))
	case string:
		j.quoted(v)
	case markup:
		j.quoted(string(v))
	case *List:
		j.list(v.Items, depth)
	case *Tuple:
		j.list(v.Items, depth)
	case *Dict:
		j.object(v, depth)
	default:
		m.fail("tojson: Object of type %s is not JSON serializable", typeName(v))
	}
}

func jsonFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return formatFloat(v)
}

func (j *jsonWriter) line(depth int) {
	if !j.indented {
		return
	}
	j.m.spend(product(len(j.indent), depth))
	j.put("\n" + strings.Repeat(j.indent, depth))
}

func (j *jsonWriter) list(items []Value, depth int) {
	if len(items) == 0 {
		j.put("[]")
		return
	}
	j.put("[")
	for i, v := range items {
		if i > 0 {
			j.put(j.item)
		}
		j.line(depth + 1)
		j.value(v, depth+1)
	}
	j.line(depth)
	j.put("]")
}

func (j *jsonWriter) object(d *Dict, depth int) {
	entries := d.Entries()
	if len(entries) == 0 {
		j.put("{}")
		return
	}
	if j.sort {
		items := j.m.sorted(j.m.collect(&view{"items", d}), func(v Value) Value { return v }, false)
		entries = nil
		for _, i := range items {
			pair := i.(*Tuple).Items
			entries = append(entries, Entry{pair[0], pair[1]})
		}
	}
	j.put("{")
	for i, e := range entries {
		if i > 0 {
			j.put(j.item)
		}
		j.line(depth + 1)
		switch k := e.Key.(type) {
		case string:
			j.quoted(k)
		case nil:
			j.quoted("null")
		case bool:
			j.quoted(strconv.FormatBool(k))
		case int64:
			j.quoted(strconv.FormatInt(k, 10))
		case float64:
			j.quoted(jsonFloat(k))
		default:
			j.m.fail("tojson: keys must be str, int, float, bool or None, not %s", typeName(k))
		}
		j.put(j.key)
		j.value(e.Value, depth+1)
	}
	j.line(depth)
	j.put("}")
}

// quoted writes a string as json.dumps does.
func (j *jsonWriter) quoted(s string) {
	j.m.spend(2 * len(s))
	j.WriteByte('"')
	for _, stand := range s {
		r := j.m.original(stand)
		switch {
		case r == '"' || r == '\\':
			j.put(`\` + string(r))
		case r == '\n':
			j.put(`\n`)
		case r == '\r':
			j.put(`\r`)
		case r == '\t':
			j.put(`\t`)
		case r == '\f':
			j.put(`\f`)
		case r == '\b':
			j.put(`\b`)
		case r < ' ' || j.ascii && r == 0x7f:
			j.put(fmt.Sprintf(`\u%04x`, r))
		case r < utf8.RuneSelf || !j.ascii:
			j.WriteRune(stand)
		case r <= 0xffff:
			j.put(fmt.Sprintf(`\u%04x`, r))
		default:
			a, b := utf16.EncodeRune(r)
			j.put(fmt.Sprintf(`\u%04x\u%04x`, a, b))
		}
	}
	j.WriteByte('"')
}

// FromJSON makes a Value of a JSON text: the order of names is kept, integers are int64
// and what has a point or an exponent is float64, as in Python's json.loads. Names given
// twice, and integers beyond 64 bits, are errors.
func FromJSON(text []byte) (Value, error) {
	if err := strictjson.Check(text); err != nil {
		return nil, err
	}
	return fromJSON(jsontext.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))), 0)
}

func fromJSON(d *jsontext.Decoder, depth int) (Value, error) {
	if depth > maxValueDepth {
		return nil, fmt.Errorf("want at most %d values in one another, got more", maxValueDepth)
	}
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case 't', 'f':
		return t.Bool(), nil
	case '"':
		return t.String(), nil
	case '0':
		s := t.String()
		if strings.ContainsAny(s, ".eE") {
			return strconv.ParseFloat(s, 64)
		}
		return strconv.ParseInt(s, 10, 64)
	case '[':
		l := &List{}
		for d.PeekKind() != ']' {
			v, err := fromJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			l.Items = append(l.Items, v)
		}
		_, err := d.ReadToken()
		return l, err
	case '{':
		o := &Dict{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			v, err := fromJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			o.Set(key, v)
		}
		_, err := d.ReadToken()
		return o, err
	}
	return nil, nil
}
