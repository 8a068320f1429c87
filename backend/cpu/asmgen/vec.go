package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// vecFiles writes the routines of package vec for each machine: one loop (see run)
// around a few instructions each. The assembly takes pointers and a length; the
// dispatch functions beside it take slices, choose between it and the Go loop,
// and cut long slices into pieces.
func vecFiles() []*File {
	wide := newVec(NewFile("../internal/vec", "vec512"))
	wide.routinesAVX512()
	x86 := newVec(NewFile("../internal/vec", "vec"))
	x86.machine, x86.wide = machineAVX2{x86}, wide
	arm := newVec(newFileFor("arm64", "../internal/vec", "vec"))
	arm.machine = machineNEON{arm}
	for _, v := range []*vec{x86, arm} {
		v.routines()
	}
	return []*File{wide.File, x86.File, arm.File}
}

func newVec(f *File) *vec {
	return &vec{File: f, constants: map[string]bool{}, single: map[string]bool{}}
}

func (v *vec) routines() {
	v.Go(`// piece is the most elements one call of assembly works on. The rest goes
// through a recursive call, whose prologue is where the goroutine can be
// preempted.
const piece = 1 << 16`)
	v.arithmetic()
	v.rotations()
	v.maximum()
	v.reductions()
	v.exponentials()
	v.optimizer()
	v.conversions()
	v.others()
	v.define()
}

// A machine is a processor's vectors of float32: it writes the instructions that the routines are made of, their
// frame and their loops. Operands are registers, the destination last, which may be a source too; b, c and what
// is compared with may also be constants (see constant). The fused multiply-adds round once.
type machine interface {
	level() string        // a constant of cpulevel
	instructions() string // the level in a comment
	lanes() int
	register(i int) string
	registers() int          // for inputs, temporaries, scalars and constants
	constantsInMemory() bool // as operands

	arguments(r routine)                  // to registers, opening a routine
	spread(register, constant string)     // a constant to a register
	loops(ways int, group func(ways int)) // over groups of so many vectors, single vectors, and the tail
	eachHead(again func())                // over heads: see rotations
	grouped() machine                     // for a routine whose groups are AVX2's
	loadFrom(slice string, offset int, to string)
	storeTo(from, slice string, offset int)
	prefetch(slice string, offset int)

	add(a, b, to string)
	sub(a, b, to string) // a - b
	mul(a, b, to string)
	div(a, b, to string) // a / b
	sqrt(x, to string)
	negate(x, to string)
	abs(x, to string)
	min(a, b, to string)    // NaN where b is
	addMul(a, b, to string) // to += a*b
	subMul(a, b, to string) // to -= a*b
	// These give up x and return where their result is.
	fma(x, b, c string) string  // x*b + c
	fms(x, b, c string) string  // x*b - c
	fnma(x, b, c string) string // c - x*b

	clear(to string)
	copy(x, to string)
	set(constant, to string)
	copySign(x, to, scratch string)                          // the sign of x to numbers without one
	zeroBelow(x, least, to, scratch string)                  // to = 0 where x < least
	mulNotBelow(x, least, factor, to, scratch string)        // to *= factor, and 0 where x < least
	mulBeyond(x, most, factor, to, scratch, scratch2 string) // to = x*factor where not x <= most
	shiftLeft(n int, x, to string)
	addInt(a, b, to string)
	clearTail(x string) // zeros what is beyond the end

	// Sums are in float64, in registers of half as many lanes as those of float32.
	wides() int                                      // registers for a vector
	widen(slice string, offset, half int, to string) // a half of a vector
	addWide(a, b, to string)
	mulWide(a, b, to string)
	addMulWide(a, b, to string)       // to += a*b
	accumulate(x, scratch, to string) // adds all lanes of x, which is given up
	parts(sums []string) []string     // of which each is added by itself
	result(sum string)                // adds the lanes, into *result
	maximum()                         // the whole routine

	// The loop of a conversion, and its work on eight elements, in AVX-512 sixteen.
	conversion(body func())
	fromBF16()
	fromF16()
	toF16()
	toBF16()

	others() // routines of their own loops: heads and blocks
}

// vec is the state of the routine being written. Its registers: the first are
// inputs and temporaries (temp), the last scalars and constants.
type vec struct {
	*File
	machine
	constants map[string]bool
	data      strings.Builder   // their definitions
	pointers  map[string]string // argument -> register
	scalars   map[string]string // argument or constant -> register
	unused    int               // the first register not used yet
	released  []string          // used ones that may be used again
	masked    bool              // the code now written handles the tail
	way       int               // the vector of a group whose code is now written
	narrows   map[string]store  // the slices of 16 bits, whose length is a multiple of 8
	wide      *vec              // the routines that are preferred where the processor has them, or nil
	narrow    string            // the routine that has none of these, if these are wide
	written   map[string]bool   // the names of such routines, if these are; another's dispatch calls them
	single    map[string]bool   // constants of one word, see I
	// some takes a register with numbers of a block from one on.
	some func(q string, number int)
}

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
	heads      bool     // repeated for heads: see rotations
	narrows    []string // slices that are of 16 bits in two more routines
	store      store    // such a routine's
}

// isNarrow reports whether a slice is of 16 bits.
func (r routine) isNarrow(slice string) bool {
	return r.store.bytes == 2 && slices.Contains(r.narrows, slice)
}

// inStore is the routine whose narrows are of that type.
func (r routine) inStore(s store) routine {
	r.name, r.store = r.name+s.name, s
	return r
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
	name, does := r.name+v.level(), fmt.Sprintf("is %sGo", r.name)
	v.narrows = map[string]store{}
	switch {
	case r.store.bytes == 2:
		does = fmt.Sprintf("is %s of 16 bits", strings.TrimSuffix(r.name, r.store.name))
	case v.written == nil && !r.heads:
		v.dispatch(r)
	case v.written != nil:
		v.written[r.name] = true
	}
	var args []Arg
	for _, s := range r.slices() {
		if r.isNarrow(s) {
			v.narrows[s] = r.store
			args = append(args, Arg{s, "*uint16"})
			continue
		}
		args = append(args, Arg{s, "*float32"})
	}
	for _, s := range r.scalars {
		args = append(args, Arg{s, "float32"})
	}
	if r.structure != "" {
		args = append(args, Arg{"s", "*" + r.structure})
	}
	args = append(args, Arg{"n", "int"})
	if r.heads {
		args = append(args, Arg{"heads", "int"})
	}
	if r.result != "" {
		args = append(args, Arg{"result", "*" + r.result})
	}
	v.Func(name, fmt.Sprintf("%s %s in %s.", name, does, v.instructions()), args...)

	v.pointers, v.scalars = map[string]string{}, map[string]string{}
	v.unused, v.released = 0, nil
	v.arguments(r)
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
	arguments := fmt.Sprintf("%s%s, len(%s)", strings.Join(data, ", "), rest, s[0])

	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	p("func %s(%s) %s {", r.name, params, r.result)
	if r.result == "" {
		p("if !use%s {\n%sGo(%s%s)\nreturn\n}", v.level(), r.name, list, rest)
	} else {
		p("if !use%s {\nreturn %sGo(%s%s)\n}", v.level(), r.name, list, rest)
		p("total := %s", r.initial)
	}
	p("for len(%s) > piece {", s[0])
	if r.result == "" {
		p("%s", each)
	} else {
		p("total = "+r.combine, each)
	}
	p("%s = %s\n}", list, strings.Join(tails, ", "))
	end := "return"
	if r.result != "" {
		p("var last %s", r.result)
		arguments += ", &last"
		end = fmt.Sprintf("return "+r.combine, "last")
	}
	p("%s%s%s(%s)", v.preferred(r.name, arguments, end), r.name, v.level(), arguments)
	if r.result != "" {
		p("%s", end)
	}
	p("}")
	v.Go(b.String())
}

// preferred is Go text that calls the wide routine of that name, if there is one, and ends.
func (v *vec) preferred(name, arguments, end string) string {
	if v.wide == nil || !v.wide.written[name] {
		return ""
	}
	level := v.wide.level()
	return fmt.Sprintf("if use%s {\n%s%s(%s)\n%s\n}\n", level, name, level, arguments, end)
}

// temp takes a free register.
func (v *vec) temp() string {
	if n := len(v.released); n > 0 {
		r := v.released[n-1]
		v.released = v.released[:n-1]
		return r
	}
	if v.unused == v.registers()-len(v.scalars) {
		panic("out of registers")
	}
	v.unused++
	return v.register(v.unused - 1)
}

// release gives registers back.
func (v *vec) release(registers ...string) { v.released = append(v.released, registers...) }

// last takes the last register that is none, for a scalar or constant of that name.
func (v *vec) last(name string) string {
	r := v.register(v.registers() - 1 - len(v.scalars))
	v.scalars[name] = r
	return r
}

// run writes the loop: some vectors at a time, then single ones, then what is
// left, of which lanes beyond the end load as 0 and are not stored. step
// writes the work on the vector at an offset, the way-th of those vectors.
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
	for !v.hoist(func() { group(ways) }) {
		ways--
	}
	unused := v.unused
	v.loops(ways, func(ways int) {
		v.unused = unused
		group(ways)
	})
}

// hoist keeps the constants that the loop reads most in the registers it leaves
// free: two loads a cycle are fewer than an exponential's operands. Where constants
// cannot be in memory and not all fit, it does nothing and returns false.
func (v *vec) hoist(body func()) bool {
	start, unused := v.asm.Len(), v.unused
	body()
	loop := v.asm.String()[start:]
	free := v.registers() - len(v.scalars) - v.unused
	v.asm.Truncate(start)
	v.unused = unused

	uses := func(name string) int {
		return strings.Count(loop, " "+name+"<>(SB)") + strings.Count(loop, "["+name+"<>(SB)")
	}
	names := slices.SortedFunc(maps.Keys(v.constants), func(a, b string) int {
		return cmp.Or(cmp.Compare(uses(b), uses(a)), cmp.Compare(a, b))
	})
	names = slices.DeleteFunc(names, func(name string) bool { return uses(name) == 0 })
	if len(names) > free && !v.constantsInMemory() {
		return false
	}
	for _, name := range names[:min(free, len(names))] {
		v.spread(v.last(name), name)
	}
	return true
}

// alternate writes the first lines of all ways, then the second ones, and so on.
func (v *vec) alternate(ways int, step func(way, offset int)) {
	start := v.asm.Len()
	var lines [][]string
	for way := range ways {
		v.released, v.way = nil, way
		step(way, v.lanes()*way)
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
	if r.name == v.narrow {
		return
	}
	v.inStores(r, func(r routine) {
		if r.store.bytes == 2 {
			ways = min(ways, 2) // roundings take registers
		}
		v.elements(r, ways, body)
	})
}

// elements writes the routine of elementwise for one type of its narrow slices.
func (v *vec) elements(r routine, ways int, body func(x []string) []string) {
	v.open(r)
	loops := func() {
		v.runGroups(ways, func(_, offset int) {
			var x []string
			for _, in := range r.ins {
				x = append(x, v.temp())
				v.loadFrom(in, offset, x[len(x)-1])
			}
			for i, y := range body(x) {
				v.storeTo(y, r.outs[i], offset)
			}
		}, func(ways int) { v.ahead(r, ways) })
	}
	if r.heads {
		v.eachHead(loops)
	} else {
		loops()
	}
	v.Return()
}

// halvesAhead is the bytes after which routines of 16 bits fetch.
const halvesAhead = 1024

// ahead fetches, where a group of vectors is a line of slices of 16 bits, the lines that groups will be at some time later: in AVX-512
// these take about as long as their memory, of which no processor looks so far ahead over their many instructions.
func (v *vec) ahead(r routine, ways int) {
	if v.written == nil || r.store.bytes != 2 || 2*v.lanes()*ways != 64 {
		return
	}
	for _, s := range r.slices() {
		if r.isNarrow(s) {
			v.prefetch(s, halvesAhead/2)
		}
	}
}

// constant is the operand of equal float32.
func (v *vec) constant(name string, value float64) string {
	return v.bits(name, math.Float32bits(float32(value)))
}

// bits is the operand of equal words, in memory unless the open routine has
// hoisted them; the first use of a name defines it.
func (v *vec) bits(name string, word uint32) string {
	if register, ok := v.scalars[name]; ok {
		return register
	}
	if v.written != nil {
		v.single[name+"<>(SB)"] = true
		return v.table(name, word)
	}
	return v.table(name, slices.Repeat([]uint32{word}, 8)...)
}

// held returns a register with a constant, for operands that cannot be in memory: the constant's own if it has one, else to.
func (v *vec) held(constant, to string) string {
	if !strings.HasSuffix(constant, "<>(SB)") {
		return constant
	}
	v.set(constant, to)
	return to
}

// define writes the definitions of constants.
func (v *vec) define() { v.asm.WriteString("\n" + v.data.String()) }

// widths are the loops of a routine: groups of vectors, and single ones.
func widths(ways int) []int { return slices.Compact([]int{ways, 1}) }
