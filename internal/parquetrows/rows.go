package parquetrows

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/format"

	"github.com/agora-ml/agora/internal/columns"
)

// assembler puts rows of a row group together again. Each column has its values with two levels: how deep in the
// schema there is something (below the highest: null, or an empty list), and which list a further value belongs to
// (0: a new row). See Melnik et al., Dremel, VLDB 2010.
type assembler struct {
	root  *node
	heads []head // of columns; of those that are not read nil
	out   []byte
	bad   error // of this row alone
	err   error // of the file
}

// head is where a column is read.
type head struct {
	pages     *pages
	page      *page
	at, value int // the level and the value that come next
}

func (f *file) assembler(group *rowGroup) (*assembler, error) {
	if len(group.chunks) != len(f.columns) {
		return nil, fmt.Errorf("want the %d columns of the schema, got %d", len(f.columns), len(group.chunks))
	}
	f.held = 0
	a := &assembler{root: f.root, heads: make([]head, len(f.columns))}
	for _, n := range f.root.children {
		for i := n.from; i < n.to && !n.absent; i++ {
			p, err := f.pagesOf(f.columns[i], &group.chunks[i])
			if err != nil {
				return nil, f.columns[i].wrong(err)
			}
			a.heads[i].pages = p
		}
	}
	return a, nil
}

// wrong says of which column an error is.
func (c *column) wrong(err error) error {
	return fmt.Errorf("column %q of type %s: %w", c.path, c.kind(), err)
}

// row puts the next row into out, or what is wrong with it alone into bad.
func (a *assembler) row() error {
	a.out, a.bad = a.out[:0], nil
	for i := range a.heads {
		if a.heads[i].pages != nil {
			if rep, _ := a.peek(i); rep != 0 {
				a.fail(i, errors.New("want a value that begins a row, got none"))
			}
		}
	}
	if a.err == nil {
		a.structure(a.root)
	}
	return a.err
}

// end makes sure that no value is left.
func (a *assembler) end() error {
	for i := range a.heads {
		if a.heads[i].pages != nil {
			if rep, _ := a.peek(i); rep >= 0 {
				a.fail(i, errors.New("want as many rows as the row group has, got more"))
			}
		}
	}
	return a.err
}

// fail notes what is wrong with the file.
func (a *assembler) fail(i int, err error) {
	if a.err == nil {
		a.err = a.heads[i].pages.c.wrong(err)
	}
}

// peek gives the levels of a column's next value; below 0 there is none.
func (a *assembler) peek(i int) (rep, def int) {
	h := &a.heads[i]
	if a.err != nil {
		return -1, -1
	}
	if h.page == nil || h.at == h.page.n {
		if h.page != nil {
			_ = h.pages.f.hold(-h.page.held)
		}
		h.at, h.value = 0, 0
		if err := columns.Guarded(func() (err error) {
			h.page, err = h.pages.next()
			return err
		}); err != nil {
			a.fail(i, err)
		}
		if h.page == nil || a.err != nil {
			return -1, -1
		}
	}
	if h.page.reps != nil {
		rep = int(h.page.reps[h.at])
	}
	if h.page.defs != nil {
		def = int(h.page.defs[h.at])
	}
	return rep, def
}

// there reports whether a field is, and not null or an empty list, in which its columns must agree.
func (a *assembler) there(n *node) bool {
	_, first := a.peek(n.from)
	for i := n.from + 1; i < n.to; i++ {
		if _, def := a.peek(i); def >= n.def != (first >= n.def) {
			a.fail(i, errors.New("want a value where the columns beside it have one, and only there"))
		}
	}
	return a.err == nil && first >= n.def
}

// more reports whether a list goes on, in which its columns must agree.
func (a *assembler) more(n *node) bool {
	first, _ := a.peek(n.from)
	for i := n.from + 1; i < n.to; i++ {
		if rep, _ := a.peek(i); rep == n.rep != (first == n.rep) {
			a.fail(i, errors.New("want as many elements of a list as the columns beside it have"))
		}
	}
	return a.err == nil && first == n.rep
}

// pass goes over one value of each of a field's columns, which says that there is none.
func (a *assembler) pass(n *node) {
	for i := n.from; i < n.to && a.err == nil; i++ {
		a.peek(i)
		a.heads[i].at++
	}
}

func (a *assembler) write(text string) {
	if a.out = append(a.out, text...); len(a.out) > columns.MaxRow {
		a.bad = columns.ErrRow
		a.out = a.out[:0]
	}
}

// field writes what a field holds.
func (a *assembler) field(n *node) {
	switch {
	case a.err != nil:
	case n.absent:
		a.write("null")
	case n.repetition == format.Repeated:
		a.list(n, a.body)
	case n.repetition == format.Optional && !a.there(n):
		a.pass(n)
		a.write("null")
	default:
		a.body(n)
	}
}

// body writes what a field holds that is there, or one element.
func (a *assembler) body(n *node) {
	switch {
	case n.column != nil:
		a.leaf(n)
	case n.form == formList:
		a.list(n.children[0], a.body)
	case n.form == formMap:
		a.mapping(n.children[0])
	case n.form == formElement:
		a.field(n.children[0])
	default:
		a.structure(n)
	}
}

func (a *assembler) structure(n *node) {
	a.write("{")
	for i, child := range n.children {
		if i > 0 {
			a.write(", ")
		}
		a.write(columns.Quoted(child.name) + ": ")
		a.field(child)
	}
	a.write("}")
}

// list writes the elements of a repeated field.
func (a *assembler) list(n *node, element func(*node)) {
	a.write("[")
	if a.there(n) {
		for first := true; first || a.more(n); first = false {
			if !first {
				a.write(", ")
			}
			element(n)
		}
	} else {
		a.pass(n)
	}
	a.write("]")
}

// mapping writes keys and values as an object.
func (a *assembler) mapping(n *node) {
	a.write("{")
	if a.there(n) {
		for first := true; first || a.more(n); first = false {
			if !first {
				a.write(", ")
			}
			before := len(a.out)
			a.body(n.children[0])
			if a.err == nil && (len(a.out) <= before || a.out[before] != '"') && a.bad == nil {
				a.bad = fmt.Errorf("%q: want texts as keys of a map, got others", n.children[0].column.path)
			}
			a.write(": ")
			a.field(n.children[1])
		}
	} else {
		a.pass(n)
	}
	a.write("}")
}

// leaf writes a column's value.
func (a *assembler) leaf(n *node) {
	i := n.from
	_, def := a.peek(i)
	if a.err == nil && def != n.def {
		a.fail(i, errors.New("want a value, got none"))
	}
	if a.err != nil {
		return
	}
	h := &a.heads[i]
	at := h.value
	if h.page.indexes != nil {
		at = int(h.page.indexes[at])
	}
	h.at, h.value = h.at+1, h.value+1
	out, err := n.column.write(a.out, h.page.values, at)
	if err != nil && a.bad == nil {
		a.bad = &columns.ValueError{Path: n.column.path, Type: n.column.kind(), Err: err}
	}
	a.out = out
	a.write("")
}
