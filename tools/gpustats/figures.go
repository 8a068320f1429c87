package main

import (
	"bufio"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// figures are what a compiler says of a pipeline and what its loops hold.
type figures struct {
	Name      string
	Registers int // of an invocation
	Spills    int // registers, and bytes of local memory
	Shared    int // bytes of a workgroup
	Waves     int // that fit a SIMD by the compiler's own word; of a multiprocessor for NVK
	Code      int // bytes
	Loops     []loop
}

// statistics are the drivers' names for the numbers of figures; those of one are added.
var statistics = map[string]func(*figures) *int{
	"VGPRs":              func(f *figures) *int { return &f.Registers },
	"Number of GPRs":     func(f *figures) *int { return &f.Registers },
	"Spilled SGPRs":      func(f *figures) *int { return &f.Spills },
	"Spilled VGPRs":      func(f *figures) *int { return &f.Spills },
	"Scratch size":       func(f *figures) *int { return &f.Spills },
	"Spills to memory":   func(f *figures) *int { return &f.Spills },
	"SLM size":           func(f *figures) *int { return &f.Spills },
	"LDS size":           func(f *figures) *int { return &f.Shared },
	"Subgroups per SIMD": func(f *figures) *int { return &f.Waves },
	"Max warps/SM":       func(f *figures) *int { return &f.Waves },
	"Code size":          func(f *figures) *int { return &f.Code },
}

// read gives the figures of a file of probe.
func read(name, text string) (figures, error) {
	f := figures{Name: name}
	head, _, found := strings.Cut(text, "#####")
	if !found {
		return f, fmt.Errorf("%s: the driver gives no assembly", name)
	}
	for line := range strings.Lines(head) {
		number, statistic, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if field := statistics[statistic]; field != nil {
			n, err := strconv.Atoi(number)
			if err != nil {
				return f, fmt.Errorf("%s: %s: %w", name, statistic, err)
			}
			*field(&f) += n
		}
	}
	f.Loops = slices.DeleteFunc(loops(text), func(l loop) bool { return l.Instructions < 8 })
	return f, nil
}

// String is a line of numbers, and one for each loop, the deeper the more tabs.
func (f figures) String() string {
	var w strings.Builder
	fmt.Fprintf(&w, "%s registers=%d spills=%d shared=%d waves=%d code=%d\n", f.Name, f.Registers, f.Spills, f.Shared,
		f.Waves, f.Code)
	for _, l := range f.Loops {
		fmt.Fprintf(&w, "%sloop instructions=%d matrix=%d fma=%d vector=%d waits=%d full=%d lone=%d",
			strings.Repeat("\t", l.Depth+1), l.Instructions, l.Matrix, l.FMA, l.Vector, l.Waits, l.Full, l.Lone)
		for _, name := range slices.Sorted(maps.Keys(l.Loads)) {
			fmt.Fprintf(&w, " %s=%d", name, l.Loads[name])
		}
		w.WriteByte('\n')
	}
	return w.String()
}

// parseFigures reads what String has written, a pipeline behind another; lines with # are not read.
func parseFigures(text string) (list []figures, err error) {
	in := bufio.NewScanner(strings.NewReader(text))
	for number := 1; in.Scan(); number++ {
		line := strings.TrimLeft(in.Text(), "\t")
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		values := map[string]int{}
		for _, w := range words[1:] {
			name, value, _ := strings.Cut(w, "=")
			if values[name], err = strconv.Atoi(value); err != nil {
				return nil, fmt.Errorf("line %d: %q: want name=number", number, w)
			}
		}
		if words[0] != "loop" {
			list = append(list, figures{Name: words[0], Registers: values["registers"], Spills: values["spills"],
				Shared: values["shared"], Waves: values["waves"], Code: values["code"]})
			continue
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("line %d: a loop before any pipeline", number)
		}
		l := loop{Depth: len(in.Text()) - len(line) - 1, Instructions: values["instructions"], Matrix: values["matrix"],
			FMA: values["fma"], Vector: values["vector"], Waits: values["waits"], Full: values["full"],
			Lone: values["lone"], Loads: map[string]int{}}
		for name, n := range values {
			if loadRE.MatchString(name) {
				l.Loads[name] = n
			}
		}
		f := &list[len(list)-1]
		f.Loops = append(f.Loops, l)
	}
	return list, in.Err()
}

// hot is the loop with the most multiplications, where a kernel's time goes, with what stands in the loops around
// it: a pass of those runs the hot one at least once. Of two with as many matrix instructions it is the shorter: attention has
// one for tiles that are seen whole, and one with masks, which is slow.
func (f figures) hot() loop {
	return f.most(func(a, b loop) bool { return a.Instructions < b.Instructions })
}

// slow is hot but for taking the longer of two with as many matrix instructions.
func (f figures) slow() loop {
	return f.most(func(a, b loop) bool { return a.Instructions > b.Instructions })
}

// most is the loop with the most multiplications, or the longest where nothing is multiplied, with what stands around it;
// before says which of two comes first that have as many matrix instructions.
func (f figures) most(before func(a, b loop) bool) loop {
	best, score := -1, 0
	for i, l := range f.Loops {
		s := 256*l.Matrix + l.FMA
		if best >= 0 && l.Matrix > 0 && l.Matrix == f.Loops[best].Matrix {
			if before(l, f.Loops[best]) {
				best, score = i, s
			}
		} else if s > score {
			best, score = i, s
		}
	}
	for i, l := range f.Loops {
		if score == 0 && (best < 0 || l.Instructions > f.Loops[best].Instructions) {
			best = i
		}
	}
	if best < 0 {
		return loop{}
	}
	sum, depth := f.Loops[best], f.Loops[best].Depth
	for i := best - 1; i >= 0 && depth > 0; i-- {
		if l := f.Loops[i]; l.Depth < depth {
			depth = l.Depth
			sum.Instructions += l.Instructions
			sum.Full += l.Full
		}
	}
	return sum
}

// products are the multiplications of a loop.
func (l loop) products() int {
	if l.Matrix > 0 {
		return l.Matrix
	}
	return l.FMA
}

// worse says what got worse between two figures of one pipeline: a spill, fewer waves, a tenth more instructions
// a multiplication in the hot loop or the slow one beside it, or where nothing is multiplied a tenth more in the longest,
// another full wait there; or the same of all loops together.
func worse(was, is figures) (list []string) {
	say := func(format string, args ...any) { list = append(list, is.Name+": "+fmt.Sprintf(format, args...)) }
	if is.Spills > was.Spills {
		say("spills %d, were %d", is.Spills, was.Spills)
	}
	if is.Waves < was.Waves {
		say("waves %d, were %d", is.Waves, was.Waves)
	}
	compare := func(name string, a, b loop) {
		if b.Full > a.Full {
			say("%d waits for all loads in the %s, were %d", b.Full, name, a.Full)
		}
		switch {
		case (a.Matrix > 0) != (b.Matrix > 0):
			say("%d matrix instructions in the %s, were %d", b.Matrix, name, a.Matrix)
		case a.products() > 0 && 10*b.Instructions*a.products() > 11*a.Instructions*b.products():
			say("%d instructions for %d multiplications in the %s, were %d for %d", b.Instructions, b.products(), name,
				a.Instructions, a.products())
		case a.products()+b.products() == 0 && a.Instructions > 0 && 10*b.Instructions > 11*a.Instructions:
			say("%d instructions in the %s, were %d", b.Instructions, name, a.Instructions)
		}
	}
	compare("hot loop", was.hot(), is.hot())
	if was.slow().Instructions != was.hot().Instructions || is.slow().Instructions != is.hot().Instructions {
		compare("slow loop", was.slow(), is.slow())
	}
	if list == nil { // each of several loops may be as hot
		compare("loops together", was.together(), is.together())
	}
	return list
}

// together is the loops' sum.
func (f figures) together() (sum loop) {
	for _, l := range f.Loops {
		sum.Instructions += l.Instructions
		sum.Matrix += l.Matrix
		sum.FMA += l.FMA
		sum.Full += l.Full
	}
	return sum
}
