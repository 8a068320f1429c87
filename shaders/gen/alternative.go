package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What an alternative may need: cooperative matrices of subgroups, or those of workgroups, by tensors' layouts. And the
// types it may compute in: one SPIR-V each.
const cooperativeMatrix, cooperativeMatrix2 = "cooperative_matrix", "cooperative_matrix2"

var matrixTypes = []string{"f16", "bf16"}

// needsLine reads what an alternative needs of a device, and the types it computes in.
func (p *parser) needsLine(args []string) error {
	k := p.k
	if k.needs != "" || len(args) < 2 || args[0] != cooperativeMatrix && args[0] != cooperativeMatrix2 {
		return p.errorf("//needs: want one such line: %s or %s, and types", cooperativeMatrix, cooperativeMatrix2)
	}
	for i, t := range args[1:] {
		if !slices.Contains(matrixTypes, t) || slices.Contains(args[1:1+i], t) {
			return p.errorf("//needs %s: type %q: want each of %s once at most", cooperativeMatrix, t,
				strings.Join(matrixTypes, ", "))
		}
	}
	k.needs, k.types = args[0], args[1:]
	return nil
}

// condition is what an alternative asks of a parameter: a bool's value, the most or least of a size, or that it is a
// multiple.
type condition struct {
	field string
	sign  string // "<=", ">=" or "%"; "": a bool
	size  string
	not   bool
}

// What else an alternative may ask: that the floats begin at multiples of 16 bytes; that a product has few rows or
// columns, and so too few workgroups by other forms.
const aligned, thin = "aligned", "thin"

// takesLine reads which calls an alternative is for: "m<=8 k>=256 n%16 acc !trans_a aligned".
func (p *parser) takesLine(args []string) error {
	if p.k.takes != nil || len(args) == 0 {
		return p.errorf("//takes: want one such line of conditions")
	}
	for _, a := range args {
		c, ok := parseCondition(a)
		if !ok {
			return p.errorf("//takes: %q: want size<=number, size>=number, size%%number, name, !name, %s or %s", a, aligned,
				thin)
		}
		p.k.takes = append(p.k.takes, c)
	}
	return nil
}

func parseCondition(a string) (c condition, ok bool) {
	var sized bool
	for _, c.sign = range []string{"<=", ">=", "%", ""} {
		if c.field, c.size, sized = strings.Cut(a, c.sign); sized && c.sign != "" {
			break
		}
	}
	if c.sign == "" {
		c.size = ""
		c.field, c.not = strings.CutPrefix(a, "!")
	}
	n, err := strconv.ParseUint(c.size, 10, 31)
	return c, (c.sign == "" || err == nil && n > 0) && identRE.MatchString(c.field)
}

// callsAndSizes reads conditions, and behind them sizes as in a //tile line, or none.
func (p *parser) callsAndSizes(word string, args []string) (calls []condition, tiles [][]uint32, err error) {
	sizes := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "group=") })
	if sizes < 0 {
		sizes = len(args)
	}
	if sizes == 0 {
		return nil, nil, p.errorf("//%s: want conditions, and sizes behind them", word)
	}
	for _, a := range args[:sizes] {
		c, ok := parseCondition(a)
		if !ok || c.sign == "" {
			return nil, nil, p.errorf("//%s: %q: want size<=number, size>=number or size%%number", word, a)
		}
		calls = append(calls, c)
	}
	if sizes < len(args) {
		err = p.tileLine(word, args[sizes:], &tiles)
	}
	return calls, tiles, err
}

// narrowLine reads which calls have narrow subgroups where a device has a reason, and their launch if it is another:
// "head_dim<=64", "head_dim>=96 head_dim%32 group=256 bm=64".
func (p *parser) narrowLine(args []string) error {
	calls, tiles, err := p.callsAndSizes("narrow", args)
	p.k.narrow = append(p.k.narrow, narrow{calls, tiles})
	return err
}

// leanLine reads a launch for some calls on devices that may have few registers: "head_dim>=128 group=256 bm=128".
func (p *parser) leanLine(args []string) (err error) {
	if p.k.lean != nil {
		return p.errorf("//lean: want one such line")
	}
	if p.k.leanFor, p.k.lean, err = p.callsAndSizes("lean", args); err == nil && p.k.lean == nil {
		err = p.errorf("//lean: want sizes behind its conditions")
	}
	return err
}

// emitLeanFor says for which calls the //lean line is.
func (k *kernel) emitLeanFor(goName string) string {
	code := "ok"
	for _, c := range k.leanFor {
		code += " && " + c.code("c")
	}
	return fmt.Sprintf("LeanFor: func(k shaders.Kernel) bool { c, ok := k.(%s); return %s },\n", goName, code)
}

// checkConditions is called when the fields are known.
func (p *parser) checkConditions(word string, conditions ...condition) error {
	for _, c := range conditions {
		if c == (condition{field: aligned}) || c == (condition{field: thin}) {
			continue
		}
		list, kind := p.k.consts, "bool"
		if c.sign != "" {
			list, kind = slices.Concat(p.k.push, p.k.consts), "uint"
		}
		if !slices.ContainsFunc(list, func(f field) bool { return f.name == c.field && f.kind == kind }) {
			return p.errorf("//%s: %s is not a %s of this header", word, c.field, kind)
		}
	}
	return nil
}

// String is the condition as the header has it.
func (c condition) String() string {
	switch {
	case c.sign != "":
		return c.field + c.sign + c.size
	case c.not:
		return "!" + c.field
	}
	return c.field
}

// narrows counts the conditions that few calls meet: others are of alignment, which most do.
func (k *kernel) narrows() (n int) {
	for _, c := range k.takes {
		if c.sign != "%" && c.field != aligned {
			n++
		}
	}
	return n
}

// code is the condition on a struct in Go.
func (c condition) code(of string) string {
	of += "." + camel(c.field)
	switch {
	case c.sign == "<=", c.sign == ">=":
		return of + " " + c.sign + " " + c.size
	case c.sign == "%":
		return of + "%" + c.size + " == 0"
	case c.not:
		return "!" + of
	}
	return of
}

// checkAlternatives refuses an alternative whose contract is not that of its kernel: the
// grid, the names of the sizes, the push constants, the constants and the bindings.
func checkAlternatives(kernels []*kernel) error {
	for _, k := range kernels {
		errorf := func(format string, args ...any) error {
			return &headerError{k.name + ".comp", 1, fmt.Sprintf(format, args...)}
		}
		if (k.base == "") != (k.needs == "" && k.takes == nil) {
			return errorf("want //for and with it //needs, //takes or both; or none of them")
		}
		if k.base == "" && k.narrow != nil {
			return errorf("//narrow is for an alternative that needs %s", cooperativeMatrix)
		}
		if k.base == "" {
			continue
		}
		if k.lean != nil && k.needs != cooperativeMatrix {
			return errorf("//lean is for a kernel's own shader or what needs %s", cooperativeMatrix)
		}
		i := slices.IndexFunc(kernels, func(o *kernel) bool { return o.name == k.base && o.base == "" })
		switch {
		case k.narrow != nil && k.needs != cooperativeMatrix:
			return errorf("//narrow is for what needs %s", cooperativeMatrix)
		case i < 0:
			return errorf("//for %s: there is no such kernel", k.base)
		case !k.body:
			return errorf("an alternative has a body")
		case k.contract() != kernels[i].contract():
			return errorf("its contract is not that of %s:\n%s\nwant\n%s", k.base, k.contract(), kernels[i].contract())
		}
	}
	return nil
}

// contract is what callers rely on, in words.
func (k *kernel) contract() string {
	var names []string
	for _, t := range k.tile {
		names = append(names, t.name)
	}
	var fields, bindings []string
	for _, f := range slices.Concat(k.push, k.consts) {
		fields = append(fields, f.kind+" "+f.name)
	}
	for _, b := range k.bindings {
		bindings = append(bindings, fmt.Sprintf("%s %s %v %s", b.mark(), b.name, b.shape, b.mayBe))
	}
	return fmt.Sprintf("grid %v, tile %v, fields %v, bindings %v", k.grid, names, fields, bindings)
}

func emitAlternatives(w *bytes.Buffer, k *kernel, all []*kernel) {
	var list []*kernel
	for _, o := range all {
		if o.base == k.name && o.compiled {
			list = append(list, o)
		}
	}
	slices.SortStableFunc(list, func(a, b *kernel) int { // the most special first
		return cmp.Or(b.narrows()-a.narrows(), len(b.takes)-len(a.takes))
	})
	if list == nil {
		return
	}
	w.WriteString("Alternatives: []shaders.Alternative{\n")
	for _, o := range list {
		fmt.Fprintf(w, "{\nName: %q,\nDoc: %q,\n%s", o.registered(), strings.Join(o.doc, "\n"), o.emitTiles())
		if o.needs == cooperativeMatrix2 {
			w.WriteString("Workgroup: true,\n")
		}
		if o.takes != nil {
			words, code := []string{}, "ok"
			for _, c := range o.takes {
				words = append(words, c.String())
				switch c.field {
				case aligned:
					w.WriteString("Aligned: true,\n")
				case thin:
					w.WriteString("Thin: true,\n")
				default:
					code += " && " + c.code("c")
				}
			}
			fmt.Fprintf(w, "Calls: %q,\nTakes: func(k shaders.Kernel) bool { c, ok := k.(%s); return %s },\n",
				strings.Join(words, " "), k.goName, code)
		}
		if o.lean != nil {
			w.WriteString(o.emitLeanFor(k.goName))
		}
		if o.narrow != nil {
			w.WriteString("Narrow: []shaders.Narrow{\n")
			for _, n := range o.narrow {
				code := "ok"
				for _, c := range n.calls {
					code += " && " + c.code("c")
				}
				fmt.Fprintf(w, "{\nTakes: func(k shaders.Kernel) bool { c, ok := k.(%s); return %s },\n", k.goName, code)
				if n.tiles != nil {
					w.WriteString(emitSizes("Tiles", n.tiles))
				}
				w.WriteString("},\n")
			}
			w.WriteString("},\n")
		}
		w.WriteString("SPIRV: map[string]func() []byte{\n")
		for _, b := range o.builds() {
			fmt.Fprintf(w, "%q: spirv(%q),\n", b.matrix, b.name)
		}
		w.WriteString("},\n},\n")
	}
	w.WriteString("},\n")
}

// emitTiles are the //tile, //software, //wide and //lean lines as fields of Go.
func (k *kernel) emitTiles() string {
	text := emitSizes("Tiles", k.tiles)
	if k.software != nil {
		text += emitSizes("Software", k.software)
	}
	if k.wide != nil {
		text += emitSizes("Wide", k.wide)
	}
	if k.lean != nil {
		text += emitSizes("Lean", k.lean)
	}
	return text
}

func emitSizes(field string, tiles [][]uint32) string {
	var lines []string
	for _, sizes := range tiles {
		lines = append(lines, strings.Trim(strings.ReplaceAll(fmt.Sprint(sizes), " ", ", "), "[]"))
	}
	return field + ": []shaders.Tile{{" + strings.Join(lines, "}, {") + "}},\n"
}
