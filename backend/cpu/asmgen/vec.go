package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// vecFiles writes the AVX2+FMA routines of package vec: one loop (see run)
// around a few instructions each. The assembly takes pointers and a length; the
// dispatch functions beside it take slices, choose between it and the Go loop,
// and cut long slices into pieces.
func vecFiles() []*File {
	v := &vec{File: NewFile("../internal/vec", "vec"), constants: map[string]bool{}}
	v.Go(`// piece is the most elements one call of assembly works on. The rest goes
// through a recursive call, whose prologue is where the goroutine can be
// preempted.
const piece = 1 << 16`)
	v.arithmetic()
	v.reductions()
	v.exponentials()
	v.optimizer()
	v.conversions()
	v.blocks()
	v.heads()
	v.finish()
	return []*File{v.File}
}

// vec is the state of the routine being written. Its registers: Y0 and up are
// inputs and temporaries (temp); Y15 is the mask of the tail; scalars come below
// it. AX counts elements, CX is their number.
type vec struct {
	*File
	constants map[string]bool
	data      strings.Builder   // their definitions
	pointers  map[string]string // argument -> register
	scalars   map[string]string // argument or constant -> register
	unused    int               // the first register not used yet
	released  []string          // used ones that may be used again
	masked    bool              // the code now written handles the tail
	// eight takes a register with numbers of a block from one on.
	eight func(q string, number int)
}

const mask = "Y15"

// low is the lower half of a register.
func low(y string) string { return "X" + y[1:] }

// A routine is a function of package vec: slices that are written (outs) and
// read (ins; a name may be in both), and float32 scalars.
type routine struct {
	name       string
	outs, ins  []string
	scalars    []string
	result     string // "" or the type of what is returned
	initial    string // the result of no elements
	combine    string // adds the result of a piece, %s, to total
	structure  string // type of a struct that replaces the scalars
	structured []string
}

// slices are all slice arguments, the written ones first.
func (r routine) slices() []string {
	all := append([]string(nil), r.outs...)
	for _, in := range r.ins {
		if !slices.Contains(all, in) {
			all = append(all, in)
		}
	}
	return all
}

// words splits a list of names.
func words(s string) []string { return strings.Fields(s) }

// open starts the assembly function of r, and writes its dispatch.
func (v *vec) open(r routine) {
	v.dispatch(r)
	var args []Arg
	for _, s := range r.slices() {
		args = append(args, Arg{s, "*float32"})
	}
	for _, s := range r.scalars {
		args = append(args, Arg{s, "float32"})
	}
	if r.structure != "" {
		args = append(args, Arg{"s", "*" + r.structure})
	}
	args = append(args, Arg{"n", "int"})
	if r.result != "" {
		args = append(args, Arg{"result", "*" + r.result})
	}
	name := r.name + "AVX2"
	v.Func(name, name+" is "+r.name+"Go in AVX2 and FMA.", args...)

	v.pointers, v.scalars = map[string]string{}, map[string]string{}
	v.unused, v.released = 0, nil
	registers := words("DI SI R8 R9 R10 R11 BX")
	for i, s := range r.slices() {
		v.pointers[s] = registers[i]
		v.I("MOVQ", v.Arg(s), registers[i])
	}
	v.I("MOVQ", v.Arg("n"), "CX")
	top := 14
	for _, s := range r.scalars {
		v.scalars[s] = Y(top)
		v.I("VBROADCASTSS", v.Arg(s), Y(top))
		top--
	}
	if r.structure != "" {
		v.I("MOVQ", v.Arg("s"), "DX")
		for _, s := range r.structured {
			v.scalars[s] = Y(top)
			v.I("VBROADCASTSS", Field(r.structure, s, "DX"), Y(top))
			top--
		}
	}
}

// dispatch writes the Go function that package vec calls.
func (v *vec) dispatch(r routine) {
	s := r.slices()
	list := strings.Join(s, ", ")
	params, rest, each := list+" []float32", "", ""
	for _, x := range r.scalars {
		rest += ", " + x
	}
	if r.scalars != nil {
		params += rest + " float32"
	}
	if r.structure != "" {
		params += ", s *" + r.structure
		rest = ", s"
	}
	var heads, tails, data []string
	for _, x := range s {
		heads = append(heads, x+"[:piece]")
		tails = append(tails, x+"[piece:]")
		data = append(data, "unsafe.SliceData("+x+")")
	}
	each = fmt.Sprintf("%s(%s%s)", r.name, strings.Join(heads, ", "), rest)
	fast := fmt.Sprintf("%sAVX2(%s%s, len(%s)", r.name, strings.Join(data, ", "), rest, s[0])

	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	p("func %s(%s) %s {", r.name, params, r.result)
	if r.result == "" {
		p("if !useAVX2 {\n%sGo(%s%s)\nreturn\n}", r.name, list, rest)
	} else {
		p("if !useAVX2 {\nreturn %sGo(%s%s)\n}", r.name, list, rest)
		p("total := %s", r.initial)
	}
	p("for len(%s) > piece {", s[0])
	if r.result == "" {
		p("%s", each)
	} else {
		p("total = "+r.combine, each)
	}
	p("%s = %s\n}", list, strings.Join(tails, ", "))
	if r.result == "" {
		p("%s)", fast)
	} else {
		p("var last %s\n%s, &last)\nreturn "+r.combine, r.result, fast, "last")
	}
	p("}")
	v.Go(b.String())
}

// temp takes a free register.
func (v *vec) temp() string {
	if n := len(v.released); n > 0 {
		r := v.released[n-1]
		v.released = v.released[:n-1]
		return r
	}
	if v.unused == 15-len(v.scalars) {
		panic("out of registers")
	}
	v.unused++
	return Y(v.unused - 1)
}

// release gives registers back.
func (v *vec) release(registers ...string) { v.released = append(v.released, registers...) }

// load reads 8 elements of a slice, offset elements on.
func (v *vec) load(slice string, offset int, to string) {
	at := Idx(4*offset, v.pointers[slice], "AX", 4)
	if v.masked {
		v.I("VMASKMOVPS", at, mask, to)
	} else {
		v.I("VMOVUPS", at, to)
	}
}

func (v *vec) store(from, slice string, offset int) {
	at := Idx(4*offset, v.pointers[slice], "AX", 4)
	if v.masked {
		v.I("VMASKMOVPS", from, mask, at)
	} else {
		v.I("VMOVUPS", from, at)
	}
}

// run writes the loop: some vectors at a time, then single ones, then a
// masked one, whose lanes beyond the end load as 0 and are not stored. step
// writes the work on the 8 elements at AX+offset, the way-th of those vectors.
//
// The instructions of the ways alternate, in registers of their own. The
// processor's window of waiting instructions is shorter than two or three
// exponentials, each of which is one long chain: written one after the other,
// they would wait for each other.
func (v *vec) run(ways int, step func(way, offset int)) { v.runGroups(ways, step, func(int) {}) }

// runGroups is run with work to do after each group of ways.
func (v *vec) runGroups(ways int, step func(way, offset int), after func(ways int)) {
	group := func(ways int) {
		v.alternate(ways, step)
		after(ways)
	}
	v.hoist(func() { group(ways) })
	unused := v.unused
	v.I("XORQ", "AX", "AX")
	for _, width := range slices.Compact([]int{ways, 1}) {
		loop, done := v.NewLabel("loop"), v.NewLabel("done")
		v.I("LEAQ", Mem(-8*width, "CX"), "DX")
		v.I("CMPQ", "AX", "DX")
		v.I("JGT", done)
		v.Label(loop)
		v.unused = unused
		group(width)
		v.I("ADDQ", Imm(8*width), "AX")
		v.I("CMPQ", "AX", "DX")
		v.I("JLE", loop)
		v.Label(done)
	}
	end := v.NewLabel("end")
	v.I("SUBQ", "AX", "CX")
	v.I("JZ", end)
	v.I("NEGQ", "CX")
	v.I("LEAQ", "tailMask<>(SB)", "DX")
	v.I("VMOVUPS", Idx(32, "DX", "CX", 4), mask)
	v.masked, v.unused = true, unused
	group(1)
	v.masked = false
	v.Label(end)
}

// hoist keeps the constants that the loop reads most in the registers it leaves
// free: two loads a cycle are fewer than an exponential's operands.
func (v *vec) hoist(body func()) {
	start, unused := v.asm.Len(), v.unused
	body()
	loop := v.asm.String()[start:]
	free := 15 - len(v.scalars) - v.unused
	v.asm.Truncate(start)
	v.unused = unused

	uses := func(name string) int { return strings.Count(loop, " "+name+"<>(SB)") }
	names := slices.SortedFunc(maps.Keys(v.constants), func(a, b string) int {
		return cmp.Or(cmp.Compare(uses(b), uses(a)), cmp.Compare(a, b))
	})
	for _, name := range names[:min(free, len(names))] {
		if uses(name) > 0 {
			register := Y(14 - len(v.scalars))
			v.I("VMOVUPS", name+"<>(SB)", register)
			v.scalars[name] = register
		}
	}
}

// alternate writes the first lines of all ways, then the second ones, and so on.
func (v *vec) alternate(ways int, step func(way, offset int)) {
	start := v.asm.Len()
	var lines [][]string
	for way := range ways {
		v.released = nil
		step(way, 8*way)
		lines = append(lines, slices.Collect(strings.Lines(v.asm.String()[start:])))
		v.asm.Truncate(start)
	}
	for i := range lines[0] {
		for way := range ways {
			v.asm.WriteString(lines[way][i])
		}
	}
}

// elementwise writes a routine whose body computes from the loaded inputs the
// registers to store, one for each of outs.
func (v *vec) elementwise(r routine, ways int, body func(x []string) []string) {
	v.open(r)
	v.run(ways, func(_, offset int) {
		var x []string
		for _, in := range r.ins {
			x = append(x, v.temp())
			v.load(in, offset, x[len(x)-1])
		}
		for i, y := range body(x) {
			v.store(y, r.outs[i], offset)
		}
	})
	v.Return()
}

// constant is the operand of 8 equal float32.
func (v *vec) constant(name string, value float64) string {
	return v.bits(name, math.Float32bits(float32(value)))
}

// bits is the operand of 8 equal words, in memory unless the open routine has
// hoisted them; the first use of a name defines it.
func (v *vec) bits(name string, word uint32) string {
	if register, ok := v.scalars[name]; ok {
		return register
	}
	return v.table(name, slices.Repeat([]uint32{word}, 8)...)
}

// finish adds the constants, and the words from which the tail's mask is loaded.
func (v *vec) finish() {
	for i := range 16 {
		word := uint32(0)
		if i < 8 {
			word = math.MaxUint32
		}
		fmt.Fprintf(&v.data, "DATA tailMask<>+%d(SB)/4, $0x%08x\n", 4*i, word)
	}
	fmt.Fprintf(&v.data, "GLOBL tailMask<>(SB), RODATA|NOPTR, $64\n")
	v.define()
}

// define writes the definitions of constants.
func (v *vec) define() { v.asm.WriteString("\n" + v.data.String()) }
