package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The sizes a kernel's launch must keep to, on every Vulkan device; the first two where it has a body.
const (
	maxPush     = 128 // bytes of push constants: addresses, then parameters
	maxBindings = 12
	maxTile     = 4
	maxConsts   = 12
)

// kernel is what one .comp file's header says.
type kernel struct {
	name     string // file name without .comp
	goName   string
	doc      []string
	grid     []expr
	tile     []tile
	tiles    [][]uint32  // the sizes of every //tile line, the default first
	software [][]uint32  // and of every //software line
	wide     [][]uint32  // and of every //wide line
	lean     [][]uint32  // and of the //lean line
	leanFor  []condition // of its calls
	base     string      // of an alternative: the kernel that it stands for
	needs    string      // and what it needs of the device
	types    []string    // and the types it computes in
	takes    []condition // or of the calls
	narrow   []narrow    // those that are for narrow subgroups
	choices  []choice
	push     []field
	consts   []field
	bindings []binding
	body     bool // there is code after the header

	prefix   string // of the name that it is registered under
	compiled bool   // there is a .spv file
}

// narrow is a //narrow line: calls, and the sizes that they have in the place of the others' where it says some.
type narrow struct {
	calls []condition
	tiles [][]uint32
}

// choice is a size that is one of few.
type choice struct {
	size   string
	values []expr
}

type tile struct {
	name string
	size uint32
}

// field is a push constant or a specialization constant.
type field struct {
	name, goName string
	kind         string // uint, bits, float; bool, uint or an enum's name
	values       int    // of an enum: how many
	doc          string
}

type binding struct {
	name                    string
	letter                  byte
	written, read, optional bool
	shape                   []expr // nil: the header does not say
	mayBe                   string // the input that this output may overwrite
	doc                     string
}

// expr is a product of names or numbers, divided (rounding up) by another where div is set.
type expr struct {
	mul []string
	div string
}

// enum is a list of named constants of an include file.
type enum struct {
	name   string
	doc    string
	values []field
}

// methods are those of the generated structs.
var methods = []string{"Name", "Grid", "Push", "Consts", "Lens"}

// headerError says where a header is wrong.
type headerError struct {
	file string
	line int
	msg  string
}

func (e *headerError) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.msg) }

var (
	identRE   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	goRE      = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	includeRE = regexp.MustCompile(`^#include "([a-z0-9_/]+\.glsl)"$`)
	fieldRE   = regexp.MustCompile(`^\t(\w+)\s+(\w+);(?:\s*// ?(.*))?$`)
	constRE   = regexp.MustCompile(`^CONST\((\d+), (\w+), (\w+)\)(?:\s*// ?(.*))?$`)
	bindingRE = regexp.MustCompile(`^(OPT_)?(IN|OUT|INOUT)\((\d+), (\w+), (\w+)\)(?:\s*// ?(.*))?$`)
	shapeRE   = regexp.MustCompile(`^\[([^\]]*)\](.*)$`)
	macroRE   = regexp.MustCompile(`^\s*(PUSH|CONST|(OPT_)?(IN|OUT|INOUT))\s*\(`)
	enumRE    = regexp.MustCompile(`^//enum (\w+) (.+)$`)
	valueRE   = regexp.MustCompile(`^const uint (\w+) = (\d+);\s*// (.*)$`)
)

// parser walks over the lines of one header.
type parser struct {
	file  string
	lines []string
	at    int // index of the line looked at
	k     *kernel
	enums map[string]*enum
}

func (p *parser) errorf(format string, args ...any) error {
	return &headerError{p.file, min(p.at+1, len(p.lines)), fmt.Sprintf(format, args...)}
}

// line returns the line looked at, and whether there is one.
func (p *parser) line() (string, bool) {
	if p.at >= len(p.lines) {
		return "", false
	}
	return p.lines[p.at], true
}

func (p *parser) skipBlank() {
	for s, ok := p.line(); ok && strings.TrimSpace(s) == ""; s, ok = p.line() {
		p.at++
	}
}

// parseKernel reads the header of a .comp file: doc comment, directives,
// includes, PUSH, CONST and binding lines, in that order, then the body.
func parseKernel(file, src string, enums map[string]*enum) (*kernel, error) {
	name := strings.TrimSuffix(file, ".comp")
	p := &parser{file: file, lines: strings.Split(src, "\n"), enums: enums, k: &kernel{name: name, goName: camel(name)}}
	if !identRE.MatchString(name) {
		return nil, p.errorf("file name %q: want lower_case.comp", file)
	}
	for _, part := range []func() error{p.comment, p.includes, p.pushBlock, p.constLines, p.bindingLines, p.rest,
		p.check} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return p.k, nil
}

// comment reads the doc lines and the directives after them.
func (p *parser) comment() error {
	k := p.k
	for s, ok := p.line(); ok && strings.HasPrefix(s, "//"); s, ok = p.line() {
		text := s[2:]
		if text == "" || text[0] == ' ' || text[0] == '\t' {
			if k.grid != nil || k.tile != nil {
				return p.errorf("a doc line after a directive")
			}
			k.doc = append(k.doc, strings.TrimPrefix(text, " "))
			p.at++
			continue
		}
		word, arg, _ := strings.Cut(text, " ")
		if err := p.directive(word, strings.Fields(arg)); err != nil {
			return err
		}
		p.at++
	}
	for len(k.doc) > 0 && k.doc[len(k.doc)-1] == "" {
		k.doc = k.doc[:len(k.doc)-1]
	}
	switch {
	case len(k.doc) == 0 || !strings.HasPrefix(k.doc[0], k.goName+" "):
		p.at = 0
		return p.errorf("the doc comment must begin with %q", "// "+k.goName+" ")
	case k.grid == nil:
		return p.errorf("no //grid line")
	case k.tile == nil:
		return p.errorf("no //tile line")
	}
	return nil
}

func (p *parser) directive(word string, args []string) error {
	k := p.k
	switch word {
	case "go":
		if len(args) != 1 || !goRE.MatchString(args[0]) {
			return p.errorf("//go: want one Go name")
		}
		k.goName = args[0]
	case "grid":
		if k.grid != nil || len(args) < 1 || len(args) > 3 {
			return p.errorf("//grid: want one such line of one to three terms")
		}
		for _, a := range args {
			e, err := p.expr(a)
			if err != nil {
				return err
			}
			k.grid = append(k.grid, e)
		}
	case "tile":
		return p.tileLine(word, args, &p.k.tiles)
	case "software":
		return p.tileLine(word, args, &p.k.software)
	case "wide":
		return p.tileLine(word, args, &p.k.wide)
	case "lean":
		return p.leanLine(args)
	case "for":
		if k.base != "" || len(args) != 1 || !identRE.MatchString(args[0]) {
			return p.errorf("//for: want one kernel")
		}
		k.base = args[0]
	case "needs":
		return p.needsLine(args)
	case "takes":
		return p.takesLine(args)
	case "narrow":
		return p.narrowLine(args)
	case "values":
		return p.valuesLine(args)
	default:
		return p.errorf("//%s: want //go, //grid, //tile, //software, //wide, //lean, //for, //needs, //takes, //narrow or //values "+
			"(a comment has a space after //)", word)
	}
	return nil
}

// valuesLine reads what a size may be.
func (p *parser) valuesLine(args []string) error {
	if len(args) < 2 || !identRE.MatchString(args[0]) {
		return p.errorf("//values: want a size, and what it may be")
	}
	c := choice{size: args[0]}
	for _, a := range args[1:] {
		e, err := p.expr(a)
		if err != nil {
			return err
		}
		c.values = append(c.values, e)
	}
	p.k.choices = append(p.k.choices, c)
	return nil
}

// tileLine reads the sizes of a launch into a list of them: the default, or others of the same names.
func (p *parser) tileLine(word string, args []string, into *[][]uint32) error {
	k := p.k
	if len(args) < 1 || len(args) > maxTile {
		return p.errorf("//%s: want one to %d sizes", word, maxTile)
	}
	var list []tile
	var sizes []uint32
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		size, err := strconv.ParseUint(value, 10, 16)
		if !identRE.MatchString(name) || err != nil || size == 0 {
			return p.errorf("//%s: %q: want name=size", word, a)
		}
		list = append(list, tile{name, uint32(size)})
		sizes = append(sizes, uint32(size))
	}
	if list[0].name != "group" {
		return p.errorf("//%s: the first size is %q, want group", word, list[0].name)
	}
	if k.tile == nil && word == "tile" {
		k.tile = list
	}
	if !slices.EqualFunc(k.tile, list, func(a, b tile) bool { return a.name == b.name }) {
		return p.errorf("//%s: want the names of the first //tile line", word)
	}
	*into = append(*into, sizes)
	return nil
}

// expr reads a*b/c; what its names mean is checked at the end of the header.
func (p *parser) expr(s string) (expr, error) {
	product, div, divided := strings.Cut(s, "/")
	e := expr{mul: strings.Split(product, "*"), div: div}
	for _, f := range e.mul {
		if !isOperand(f) {
			return e, p.errorf("%q: want names or numbers as in a*b/c", s)
		}
	}
	if divided && !isOperand(div) {
		return e, p.errorf("%q: want one name or number after /", s)
	}
	return e, nil
}

func isOperand(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil || identRE.MatchString(s)
}

func (p *parser) includes() error {
	n := 0
	for p.skipBlank(); ; p.skipBlank() {
		s, ok := p.line()
		if !ok || !includeRE.MatchString(s) {
			break
		}
		if n == 0 && s != `#include "include/kernel.glsl"` {
			return p.errorf("%s: the first include must be include/kernel.glsl", s)
		}
		n++
		p.at++
	}
	if n == 0 {
		return p.errorf(`want #include "include/kernel.glsl"`)
	}
	return nil
}

// pushBlock reads PUSH( … ), a field a line.
func (p *parser) pushBlock() error {
	if s, _ := p.line(); s != "PUSH(" {
		return p.errorf("%q: want PUSH(", s)
	}
	for p.at++; ; p.at++ {
		s, ok := p.line()
		if !ok {
			return p.errorf("PUSH( has no closing line )")
		}
		if s == ")" {
			p.at++
			return nil
		}
		m := fieldRE.FindStringSubmatch(s)
		if m == nil {
			return p.errorf("%q: want a tab, then: type name; // meaning", s)
		}
		if m[1] != "uint" && m[1] != "bits" && m[1] != "float" {
			return p.errorf("%s %s: want uint, bits or float", m[1], m[2])
		}
		if err := p.addField(&p.k.push, m[1], m[2], m[3]); err != nil {
			return err
		}
	}
}

func (p *parser) addField(list *[]field, kind, name, doc string) error {
	if !identRE.MatchString(name) {
		return p.errorf("%q: want a lower_case name", name)
	}
	f := field{name: name, goName: camel(name), kind: kind, doc: doc}
	if slices.Contains(methods, f.goName) {
		return p.errorf("%s: the struct has a method of that name", name)
	}
	if e := p.enums[kind]; e != nil {
		f.values = len(e.values)
	}
	for _, other := range slices.Concat(p.k.push, p.k.consts) {
		if other.goName == f.goName {
			return p.errorf("%s: declared twice", name)
		}
	}
	*list = append(*list, f)
	return nil
}

func (p *parser) constLines() error {
	for p.skipBlank(); ; p.at++ {
		s, _ := p.line()
		if !strings.HasPrefix(s, "CONST") {
			return nil
		}
		m := constRE.FindStringSubmatch(s)
		if m == nil {
			return p.errorf("%q: want CONST(number, type, name) // meaning", s)
		}
		if n := len(p.k.consts); m[1] != strconv.Itoa(n) || n == maxConsts {
			return p.errorf("CONST(%s, …): want number %d, at most %d", m[1], n, maxConsts-1)
		}
		if m[2] != "bool" && m[2] != "uint" && m[2] != "float" && p.enums[m[2]] == nil {
			return p.errorf("CONST of type %s: want bool, uint, float or an //enum of an include", m[2])
		}
		if err := p.addField(&p.k.consts, m[2], m[3], m[4]); err != nil {
			return err
		}
	}
}

func (p *parser) bindingLines() error {
	for p.skipBlank(); ; p.at++ {
		s, _ := p.line()
		if !macroRE.MatchString(s) {
			return nil
		}
		m := bindingRE.FindStringSubmatch(s)
		if m == nil {
			return p.errorf("%q: want [OPT_]IN, OUT or INOUT(number, letter, name) // [shape]", s)
		}
		b := binding{name: m[5], letter: m[4][0], optional: m[1] != "", written: m[2] != "IN", read: m[2] != "OUT"}
		n := len(p.k.bindings)
		switch {
		case m[3] != strconv.Itoa(n):
			return p.errorf("binding %s has number %s: want %d", b.name, m[3], n)
		case len(m[4]) != 1 || !strings.Contains("TUVWSI", m[4]):
			return p.errorf("binding %s has letter %s: want T, U, V, W, S or I", b.name, m[4])
		case !identRE.MatchString(b.name):
			return p.errorf("binding %q: want a lower_case name", b.name)
		case b.written && n > 0 && !p.k.bindings[n-1].written:
			return p.errorf("binding %s is written: it must stand before the ones only read", b.name)
		case slices.ContainsFunc(p.k.bindings, func(o binding) bool { return o.name == b.name }) ||
			slices.ContainsFunc(slices.Concat(p.k.push, p.k.consts), func(f field) bool { return f.name == b.name }):
			return p.errorf("%s: declared twice", b.name)
		}
		if err := p.shape(&b, m[6]); err != nil {
			return err
		}
		p.k.bindings = append(p.k.bindings, b)
	}
}

// shape reads a binding's comment: [dims], then "may be NAME", then ": meaning" or ", meaning".
func (p *parser) shape(b *binding, comment string) error {
	m := shapeRE.FindStringSubmatch(comment)
	if m == nil {
		return p.errorf("binding %s: want a comment that begins with its [shape]", b.name)
	}
	b.doc = comment
	if m[1] != "*" {
		for _, dim := range strings.Split(m[1], ", ") {
			e, err := p.expr(dim)
			if err != nil {
				return err
			}
			b.shape = append(b.shape, e)
			if e.div != "" && dim != m[1] {
				return p.errorf("binding %s: a quotient must be its only dimension", b.name)
			}
		}
	}
	if rest, ok := strings.CutPrefix(m[2], " may be "); ok {
		b.mayBe = rest
		if end := strings.IndexAny(rest, ":, "); end >= 0 {
			b.mayBe = rest[:end]
		}
		if !b.written || b.read {
			return p.errorf("binding %s: only an OUT may be an input", b.name)
		}
	} else if m[2] != "" && m[2][0] != ':' && m[2][0] != ',' {
		return p.errorf("binding %s: after its [shape] want \" may be NAME\", a colon or a comma", b.name)
	}
	return nil
}

// rest looks at what follows the header: only a body, without header lines.
func (p *parser) rest() error {
	end := p.at
	for s, ok := p.line(); ok; s, ok = p.line() {
		if macroRE.MatchString(s) {
			return p.errorf("%q: PUSH, CONST and bindings stand in that order, before the body", s)
		}
		p.k.body = p.k.body || strings.TrimSpace(s) != ""
		p.at++
	}
	p.at = end
	return nil
}

// check looks at what needs the whole header; its errors name the header's last line.
func (p *parser) check() error {
	k := p.k
	p.at--
	if len(k.bindings) == 0 || !k.bindings[0].written {
		return p.errorf("no binding is written")
	}
	if k.body && len(k.bindings) > maxBindings {
		return p.errorf("%d bindings: want at most %d", len(k.bindings), maxBindings)
	}
	if n := 8*len(k.bindings) + 4*len(k.push); k.body && n > maxPush {
		return p.errorf("%d addresses and %d parameters take %d bytes of push constants: at most %d", len(k.bindings),
			len(k.push), n, maxPush)
	}
	var sizes, tiles []string
	for _, f := range slices.Concat(k.push, k.consts) {
		if f.kind == "uint" {
			sizes = append(sizes, f.name)
		}
	}
	for _, t := range k.tile {
		if slices.Contains(sizes, t.name) || slices.Contains(tiles, t.name) {
			return p.errorf("//tile: %s is declared twice", t.name)
		}
		tiles = append(tiles, t.name)
	}
	if err := p.checkConditions("takes", k.takes...); err != nil {
		return err
	}
	for _, n := range k.narrow {
		if err := p.checkConditions("narrow", n.calls...); err != nil {
			return err
		}
	}
	if k.lean != nil {
		if err := p.checkConditions("lean", k.leanFor...); err != nil {
			return err
		}
	}
	known := func(what string, e expr, divisors []string) error {
		for _, s := range e.mul {
			if identRE.MatchString(s) && !slices.Contains(sizes, s) {
				return p.errorf("%s: %s is not a uint of this header", what, s)
			}
		}
		if identRE.MatchString(e.div) && !slices.Contains(sizes, e.div) && !slices.Contains(divisors, e.div) {
			return p.errorf("%s: %s is not a size of this header", what, e.div)
		}
		return nil
	}
	for _, e := range k.grid {
		if err := known("//grid", e, tiles); err != nil {
			return err
		}
	}
	for _, c := range k.choices {
		for _, e := range append([]expr{{mul: []string{c.size}}}, c.values...) {
			if err := known("//values", e, nil); err != nil {
				return err
			}
		}
	}
	for _, b := range k.bindings {
		for _, e := range b.shape {
			if err := known("shape of "+b.name, e, nil); err != nil {
				return err
			}
		}
		if b.mayBe != "" && !slices.ContainsFunc(k.bindings, func(o binding) bool {
			return o.name == b.mayBe && !o.written && o.letter == b.letter
		}) {
			return p.errorf("%s may be %s: that is not an input of letter %c", b.name, b.mayBe, b.letter)
		}
	}
	return nil
}

// parseEnums reads the //enum lists of an include file.
func parseEnums(file, src string) ([]*enum, error) {
	var list []*enum
	var open *enum
	for i, s := range strings.Split(src, "\n") {
		errorf := func(format string, args ...any) error {
			return &headerError{file, i + 1, fmt.Sprintf(format, args...)}
		}
		if m := enumRE.FindStringSubmatch(s); m != nil {
			if !goRE.MatchString(m[1]) {
				return nil, errorf("//enum %s: want a Go name", m[1])
			}
			open = &enum{name: m[1], doc: m[1] + " " + m[2]}
			list = append(list, open)
			continue
		}
		if open == nil || strings.HasPrefix(s, "#define "+open.name) {
			continue
		}
		m := valueRE.FindStringSubmatch(s)
		if m == nil {
			open = nil // the list has ended
			continue
		}
		if m[2] != strconv.Itoa(len(open.values)) || !strings.HasPrefix(m[1], open.name) || !goRE.MatchString(m[1]) {
			return nil, errorf("%s = %s: want %s… = %d", m[1], m[2], open.name, len(open.values))
		}
		open.values = append(open.values, field{name: m[1], goName: m[1], doc: m[3]})
	}
	return list, nil
}
