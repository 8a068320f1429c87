package main

import (
	"regexp"
	"slices"
	"strings"
)

// loop is what stands in one loop of a kernel, without the loops inside it.
type loop struct {
	Depth        int            // loops around it
	Instructions int            // that are issued: hints and waits do not count
	Matrix       int            // matrix instructions
	FMA          int            // multiply-adds of vectors, two where an instruction holds two
	Vector       int            // other vector instructions
	Loads        map[string]int // by name, which says the width: of global, shared and local memory
	Waits        int            // for memory
	Full         int            // waits for all loads of global memory
	Lone         int            // full waits behind one load only
}

// instruction is a line of a device's assembly.
type instruction struct{ op, rest string }

var (
	amdLabel = regexp.MustCompile(`^(BB\d+):`)
	amdLine  = regexp.MustCompile(`^\t([a-z]\S*)([^;]*)`)
	nakLabel = regexp.MustCompile(`^block\S* \d+ (L\d+) `)
	nakLine  = regexp.MustCompile(`^(?:@\S+)? {4,}(?:\S+(?: \S+)*? +=|) +(?:@\S+ +)?([a-z][\w.]*)([^/]*)`)
)

// loops are those of the assembly that a compiler's text ends with, in their order: RADV's ("Assembly") or NVK's.
func loops(text string) []loop {
	code, labels := parse(text)
	type span struct{ from, to int }
	var spans []span
	for i, in := range code {
		words := strings.Fields(in.rest)
		if !isBranch(in.op) || len(words) == 0 {
			continue
		}
		from, ok := labels[words[len(words)-1]]
		if !ok || from > i {
			continue
		}
		if at := slices.IndexFunc(spans, func(s span) bool { return s.from == from }); at >= 0 {
			spans[at].to = max(spans[at].to, i)
		} else {
			spans = append(spans, span{from, i})
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	var list []loop
	for _, s := range spans {
		inner := make([]bool, len(code))
		depth := 0
		for _, o := range spans {
			if o == s {
				continue
			}
			if o.from <= s.from && s.to <= o.to {
				depth++
			}
			if s.from <= o.from && o.to <= s.to {
				for i := o.from; i <= o.to; i++ {
					inner[i] = true
				}
			}
		}
		l := loop{Depth: depth, Loads: map[string]int{}}
		pending := 0
		for i := s.from; i <= s.to; i++ {
			if !inner[i] {
				l.count(code[i], &pending)
			}
		}
		list = append(list, l)
	}
	return list
}

// parse gives the instructions of a compiler's text, and where labels stand among them.
func parse(text string) (code []instruction, labels map[string]int) {
	labels = map[string]int{}
	label, line := amdLabel, amdLine
	_, assembly, ok := cutLast(text, "##### Assembly\n")
	if !ok {
		_, assembly, _ = cutLast(text, "##### NAK assembly\n")
		label, line = nakLabel, nakLine
	}
	for s := range strings.Lines(assembly) {
		if m := label.FindStringSubmatch(s); m != nil {
			labels[m[1]] = len(code)
		} else if m := line.FindStringSubmatch(s); m != nil {
			code = append(code, instruction{m[1], strings.TrimSpace(m[2])})
		} else if strings.HasPrefix(s, "(invalid instruction)") { // to the disassembler: those of 16-bit halves
			code = append(code, instruction{"v_", ""})
		}
	}
	return code, labels
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func isBranch(op string) bool {
	return op == "bra" || strings.HasPrefix(op, "s_branch") || strings.HasPrefix(op, "s_cbranch")
}

var (
	matrixRE = regexp.MustCompile(`^(v_s?wmma|v_swmmac|v_mfma|[hi]mma)`)
	fmaRE    = regexp.MustCompile(`^(v_(fma|fmac|fmaak|fmamk|mad_f32|mac_f32|pk_fma|dot)|ffma|hfma2)`)
	loadRE   = regexp.MustCompile(`^((global|flat|buffer|scratch)_load|ds_(load|read)|ldg|lds\b|ldsm|ldl|ld\.)`)
	globalRE = regexp.MustCompile(`^((global|flat|buffer)_load|ldg|ld\.global)`)
	hintRE   = regexp.MustCompile(`^(s_(delay_alu|nop|clause|set_inst)|nop)`)
	fullRE   = regexp.MustCompile(`vmcnt\(0\)|loadcnt(_dscnt)? 0x0\b`)
)

// count adds an instruction; pending are the global loads since the last full wait.
func (l *loop) count(in instruction, pending *int) {
	switch {
	case strings.HasPrefix(in.op, "s_wait"):
		l.Waits++
		if fullRE.MatchString(in.op + " " + in.rest) {
			l.Full++
			if *pending == 1 {
				l.Lone++
			}
			*pending = 0
		}
		return
	case hintRE.MatchString(in.op):
		return
	}
	l.Instructions++
	halves := []string{in.op}
	if first, ok := strings.CutPrefix(in.op, "v_dual_"); ok { // two in one
		halves = []string{"v_" + first}
		if _, second, ok := strings.Cut(in.rest, ":: v_dual_"); ok {
			halves = append(halves, "v_"+second)
		}
	}
	for _, op := range halves {
		switch {
		case matrixRE.MatchString(op):
			l.Matrix++
		case fmaRE.MatchString(op):
			l.FMA++
		case loadRE.MatchString(op):
			l.Loads[op]++
			if globalRE.MatchString(op) {
				*pending++
			}
		case strings.HasPrefix(op, "v_"):
			l.Vector++
		}
	}
}
