package data

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

// fault is what is wrong within a row, and at which of its bytes.
type fault struct {
	offset int
	err    error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// object is a JSON object of a row: the row itself, a message, a part of one. A form takes
// the fields it knows, and settle says what becomes of the others, so that none is lost.
type object struct {
	row     *rowReader
	path    string // messages[2]; "" for the row
	kind    string // the path of all objects like it: messages[]
	at      int    // bytes of the row before it
	members []strictjson.Member
	taken   []bool
}

// rowReader is what the objects of a row share.
type rowReader struct {
	format  Format
	ignore  []string
	names   map[string]string // see ReadOptions.Fields
	counts  *fieldCounts
	unknown []unknownField
}

// unknownField is one that would be lost.
type unknownField struct {
	path, name string
	offset     int
	known      []string
}

// open reads an object at that place in the row.
func (r *rowReader) open(text []byte, path, kind string, at int) (*object, error) {
	members, err := strictjson.Members(text)
	if err != nil {
		return nil, faultOf(err, path, at)
	}
	if err := r.rename(members, kind); err != nil {
		return nil, &fault{at, err}
	}
	return &object{row: r, path: path, kind: kind, at: at, members: members, taken: make([]bool, len(members))}, nil
}

// faultOf says what is wrong with JSON at that place as errors of rows do.
func faultOf(err error, path string, at int) error {
	e, ok := errors.AsType[*strictjson.Error](err)
	if !ok {
		return err
	}
	field := join(path, e.Field)
	if field == "" {
		return &fault{at + e.Offset, fmt.Errorf("want %s, got %s", e.Want, e.Got)}
	}
	return &fault{at + e.Offset, fmt.Errorf("%q: want %s, got %s", field, e.Want, e.Got)}
}

func join(path, name string) string {
	if path == "" || name == "" || name[0] == '[' {
		return path + name
	}
	return path + "." + name
}

// errorf is a fault of the field m.
func (o *object) errorf(m strictjson.Member, format string, args ...any) error {
	return &fault{o.at + m.Offset, fmt.Errorf("%q: %w", join(o.path, m.Name), fmt.Errorf(format, args...))}
}

// count notes what became of a field.
func (o *object) count(name string, fate Fate) {
	o.row.counts.add(o.row.format, join(o.kind, name), fate)
}

// take gives a field that the form knows; not ok if there is none, or null, or if it is
// to be ignored.
func (o *object) take(name string) (m strictjson.Member, ok bool) {
	i := slices.IndexFunc(o.members, func(m strictjson.Member) bool { return m.Name == name })
	if i < 0 || slices.Contains(o.row.ignore, name) {
		return m, false
	}
	if m = o.members[i]; string(m.Value) == "null" {
		return m, false
	}
	o.taken[i] = true
	return m, true
}

// text takes a string.
func (o *object) text(name string) (s string, ok bool, err error) {
	m, ok := o.take(name)
	if !ok {
		return "", false, nil
	}
	if err := strictjson.Unmarshal(m.Value, &s); err != nil {
		return "", false, faultOf(err, join(o.path, name), o.at+m.Offset)
	}
	o.count(name, FateUsed)
	return s, true, nil
}

// wantText takes a string that must be there.
func (o *object) wantText(name string) (string, error) {
	s, ok, err := o.text(name)
	if err == nil && !ok {
		err = o.missing("a string", name)
	}
	return s, err
}

// optional takes a string that may be missing, which is as if it were empty.
func (o *object) optional(name string) (string, error) {
	m, ok := o.take(name)
	if ok && string(m.Value) == `""` {
		o.count(name, FateEmpty)
		return "", nil
	}
	s, _, err := o.text(name)
	return s, err
}

// missing is the error of a field that must be there, under one of several names.
func (o *object) missing(what string, names ...string) error {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, strconv.Quote(n))
	}
	why := ""
	for _, n := range names {
		if theirs, ok := o.row.names[n]; ok {
			why = fmt.Sprintf(" (--fields takes it from %.40q)", theirs)
		}
	}
	for _, m := range o.members {
		if n, ok := sameButCase(m.Name, names); ok {
			why = fmt.Sprintf(" (%q differs from %q by case only)", m.Name, n)
		}
		if slices.Contains(names, m.Name) && slices.Contains(o.row.ignore, m.Name) {
			why = fmt.Sprintf(" (ignore-fields names %s, which the rows need)", m.Name)
		}
	}
	err := fmt.Errorf("want %s %s, got none%s", what, strings.Join(quoted, " or "), why)
	if o.path != "" {
		err = fmt.Errorf("%s: %w", o.path, err)
	}
	return &fault{o.at, err}
}

// weight takes the weight of a row or message in the loss. Users of OpenAI's form know 0
// and 1; what others there are would have to be multiplied into the loss.
func (o *object) weight() (weight float64, ok bool, err error) {
	m, ok := o.take("weight")
	if !ok {
		return 1, false, nil
	}
	weight, err = strconv.ParseFloat(string(m.Value), 64)
	if err != nil || weight != 0 && weight != 1 {
		return 0, false, o.errorf(m, "want 0 (not in the loss) or 1, got %.40s", m.Value)
	}
	o.count("weight", FateUsed)
	return weight, true, nil
}

// rowWeight takes the weight of a whole row.
func (o *object) rowWeight(r *Row) error {
	weight, _, err := o.weight()
	r.Uncounted = weight == 0
	return err
}

// peek gives a string that the form has no place for.
func (o *object) peek(name string) (s string, ok bool) {
	m, ok := o.take(name)
	if ok {
		o.taken[slices.IndexFunc(o.members, func(x strictjson.Member) bool { return x.Name == name })] = false
		ok = strictjson.Unmarshal(m.Value, &s) == nil
	}
	return s, ok
}

// settleAs takes a field that the form has no place for and that is not lost.
func (o *object) settleAs(name string, fate Fate) {
	if _, ok := o.take(name); ok {
		o.count(name, fate)
	}
}

// settle says what becomes of the fields that were not taken.
func (o *object) settle(known []string) {
	for i, m := range o.members {
		switch {
		case o.taken[i]:
		case slices.Contains(o.row.ignore, m.Name):
			o.count(m.Name, FateIgnored)
		case slices.Contains([]string{"null", `""`}, string(m.Value)) || isHollow(m.Value):
			o.count(m.Name, FateEmpty)
		case slices.Contains(harmless, m.Name):
			o.count(m.Name, FatePassedOver)
		default:
			o.row.unknown = append(o.row.unknown, unknownField{o.path, m.Name, o.at + m.Offset, known})
		}
	}
}

// isHollow tells [] and {}.
func isHollow(value []byte) bool {
	if value[0] != '[' && value[0] != '{' {
		return false
	}
	return len(bytes.TrimSpace(value[1:len(value)-1])) == 0
}

// lost is the error of the fields that nobody has taken.
func (r *rowReader) lost() error {
	if len(r.unknown) == 0 {
		return nil
	}
	const most = 8
	first := r.unknown[0]
	var paths, names []string
	why := ""
	for _, u := range r.unknown {
		if n, ok := sameButCase(u.name, u.known, harmless); ok && why == "" {
			why = fmt.Sprintf(" (%.40q differs from %q by case only)", u.name, n)
		}
		if slices.Contains(names, u.name) {
			continue
		}
		if len(names) == most {
			paths = append(paths, "…")
			break
		}
		paths, names = append(paths, fmt.Sprintf("%.60q", join(u.path, u.name))),
			append(names, fmt.Sprintf("%.40s", u.name))
	}
	what := "a row of " + string(r.format)
	if first.path != "" {
		what = "it"
	}
	return &fault{first.offset, fmt.Errorf("%s: want fields that %s has (%s), got what would be lost%s; "+
		"--ignore-fields %s passes over it",
		strings.Join(paths, ", "), what, strings.Join(first.known, ", "), why, strings.Join(names, ","))}
}
