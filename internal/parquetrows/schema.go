package parquetrows

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/format"
)

// node is a field of the schema: a column, or a structure of fields.
type node struct {
	name       string
	repetition format.FieldRepetitionType
	rep, def   int  // levels at which it is there
	absent     bool // not read
	form       form
	children   []*node
	from, to   int // its columns
	column     *column
}

// form is what a structure stands for.
type form int

const (
	formStructure form = iota
	formList           // its one child is repeated, once an element
	formElement        // such a child that is no element, but holds one, its one child
	formMap            // its one child is repeated, and is a key and a value
)

// column is a leaf of the schema.
type column struct {
	path     string // as in JSON: messages[].role
	physical format.Type
	meaning  string
	write    writer
	rep, def int // the highest levels
}

// kind names a column's type in messages.
func (c *column) kind() string {
	if c.meaning == "" {
		return c.physical.String()
	}
	return c.meaning + " (" + c.physical.String() + ")"
}

// readSchema makes a tree of the footer's list.
func (f *file) readSchema() error {
	elements := f.meta.schema
	if len(elements) == 0 || elements[0].children < 1 {
		return errors.New("schema: want columns, got none")
	}
	rest := elements
	var err error
	if f.root, err = f.readNode(&rest, nil, "", 0); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("schema: want fields below its root, got %.60q beside it", rest[0].name)
	}
	return nil
}

// readNode takes a field, with those below it, off the list.
func (f *file) readNode(rest *[]element, parent *node, path string, depth int) (*node, error) {
	if len(*rest) == 0 {
		return nil, errors.New("want as many fields as there should be, got fewer")
	}
	e := &(*rest)[0]
	*rest = (*rest)[1:]
	n := &node{name: e.name, from: len(f.columns)}
	if parent != nil {
		n.rep, n.def, n.repetition = parent.rep, parent.def, e.repetition
		path = pathBelow(path, parent, n)
	}
	switch n.repetition {
	case format.Required:
	case format.Optional:
		n.def++
	case format.Repeated:
		n.rep, n.def = n.rep+1, n.def+1
		path += "[]"
	default:
		return nil, fmt.Errorf("%.60q: want a field that is required, optional or repeated, got number %d", path,
			n.repetition)
	}
	switch {
	case depth > mostNesting:
		return nil, fmt.Errorf("%.60q: want at most %d fields in one another, got more", path, mostNesting)
	case !utf8.ValidString(e.name):
		return nil, fmt.Errorf("%.60q: want a name in UTF-8, got other bytes", path)
	case e.children < 0 || e.children > int64(len(*rest)):
		return nil, fmt.Errorf("%.60q: want at most %d fields in it, got %d", path, len(*rest), e.children)
	case e.children == 0:
		return n, f.addColumn(n, e, path)
	}
	n.form = formOf(e)
	for range e.children {
		child, err := f.readNode(rest, n, path, depth+1)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, child)
	}
	n.to = len(f.columns)
	return n, n.settle(path)
}

// pathBelow is the path of n, which leaves out the names that only lists and maps have.
func pathBelow(path string, parent, n *node) string {
	switch {
	case parent.form == formList || parent.form == formElement:
		return path
	case path == "":
		return n.name
	}
	return path + "." + n.name
}

func formOf(e *element) form {
	switch e.meaning.name {
	case meansList:
		return formList
	case meansMap:
		return formMap
	}
	return formStructure
}

// settle tells what the child of a list or map is. Lists of newer files have three floors; the rules by which
// older ones with two are told are those of the format (LogicalTypes.md, backward-compatibility rules).
func (n *node) settle(path string) error {
	if n.form == formStructure {
		return nil
	}
	if n.form == formMap && n.repetition == format.Repeated { // its key_value, which some annotate, too
		n.form = formStructure
		return nil
	}
	inner := n.children[0]
	if len(n.children) != 1 || inner.repetition != format.Repeated {
		return fmt.Errorf("%.60q: want one repeated field in a list or map, got another", path)
	}
	if n.form == formMap {
		ok := len(inner.children) == 2 && inner.children[0].column != nil &&
			inner.children[0].repetition == format.Required
		if !ok {
			return fmt.Errorf("%.60q: want a key and a value in a map, got other fields", path)
		}
		return nil
	}
	if len(inner.children) == 1 && inner.name != "array" && inner.name != n.name+"_tuple" &&
		inner.form == formStructure && inner.children[0].repetition != format.Repeated {
		inner.form = formElement
	}
	return nil
}

// addColumn makes a column of a field without others in it.
func (f *file) addColumn(n *node, e *element, path string) error {
	switch {
	case !e.typed:
		return fmt.Errorf("%.60q: want a type, or fields in it, got neither", path)
	case e.physical < format.Boolean || e.physical > format.FixedLenByteArray:
		return fmt.Errorf("%.60q: want a type that the format has, got number %d", path, e.physical)
	}
	n.column = &column{path: path, physical: e.physical, meaning: e.meaning.name, write: writerOf(e), rep: n.rep,
		def: n.def}
	f.columns = append(f.columns, n.column)
	n.to = len(f.columns)
	return nil
}
