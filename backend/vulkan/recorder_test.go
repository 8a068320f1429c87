package vulkan

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/random"
)

// access is what one command of a test does.
type access struct{ reads, writes []span }

func conflicts(a, b access) bool {
	for _, w := range a.writes {
		for _, s := range append(append([]span{}, b.reads...), b.writes...) {
			if w.from < s.to && s.from < w.to {
				return true
			}
		}
	}
	return false
}

func at(from, to uint64) []span { return []span{{from, to}} }

func TestBarriersOnlyWhereCommandsConflict(t *testing.T) {
	a, b, c := at(0, 16), at(16, 32), at(32, 48)
	tests := []struct {
		name          string
		first, second access
		want          int
	}{
		{"read after write", access{writes: a}, access{reads: a, writes: b}, 1},
		{"write after read", access{reads: a, writes: b}, access{writes: a}, 1},
		{"write after write", access{writes: a}, access{writes: a}, 1},
		{"read after read", access{reads: a, writes: b}, access{reads: a, writes: c}, 0},
		{"neighbors", access{writes: a}, access{reads: b, writes: c}, 0},
		{"one byte shared", access{writes: a}, access{reads: at(15, 17), writes: c}, 1},
		{"in place", access{reads: a, writes: a}, access{reads: b, writes: b}, 0},
	}
	for _, tt := range tests {
		var r recorder
		for _, x := range []access{tt.first, tt.second} {
			r.add(dispatchCommand, x.reads, x.writes, stamped{})
		}
		if commands, _ := r.ordered(); r.counts.Barriers != tt.want || len(commands) != 2+tt.want {
			t.Errorf("%s: %d barriers among %d commands, want %d", tt.name, r.counts.Barriers, len(commands), tt.want)
		}
	}
}

func TestSubmissionStartsAfresh(t *testing.T) {
	var r recorder
	r.add(copyCommand, nil, at(0, 8), stamped{})
	r.reset()
	r.add(dispatchCommand, at(0, 8), at(8, 16), stamped{})
	if want := (Counts{Dispatches: 1, Writes: 1, Submissions: 1}); r.counts != want {
		t.Errorf("counts %+v, want %+v", r.counts, want)
	}
}

// Two chains that do not meet run side by side, and each command keeps its name.
func TestChainsShareBarriers(t *testing.T) {
	var r recorder
	for _, from := range []uint64{0, 100} {
		for i := range uint64(3) {
			c := r.add(dispatchCommand, at(from+i, from+i+1), at(from+i+1, from+i+2), stamped{form: "abcdef"[from/100*3+i:][:1]})
			c.n = from + i
		}
	}
	var got []uint64
	text := ""
	commands, names := r.ordered()
	for i, c := range commands {
		if text += names[i].form[:1]; c.kind != barrierCommand {
			got = append(got, c.n)
		}
	}
	if want := []uint64{0, 100, 1, 101, 2, 102}; !slices.Equal(got, want) || text != "adbbebcf" {
		t.Errorf("order %v, names %s, want %v and adbbebcf", got, text, want)
	}
}

// randomProgram is commands on a little memory.
func randomProgram(rnd *random.Stream) (program []access) {
	spans := func(n int) (list []span) {
		for range rnd.IntN(n + 1) {
			from := uint64(rnd.IntN(30))
			list = append(list, span{from, from + 1 + uint64(rnd.IntN(6))})
		}
		return list
	}
	for range 40 {
		program = append(program, access{spans(3), spans(2)})
	}
	return program
}

// Commands that conflict keep their order and have a barrier between them, and behind each barrier
// every command conflicts with one right before it.
func TestBarriersOfRandomPrograms(t *testing.T) {
	rnd := random.NewStream(5, random.Test, 0, 0)
	var r recorder
	for range 500 {
		program := randomProgram(rnd)
		for i, x := range program {
			r.add(dispatchCommand, x.reads, x.writes, stamped{}).n = uint64(i)
		}
		stages, ran := [][]int{nil}, 0
		commands, _ := r.ordered()
		for _, c := range commands {
			if c.kind == barrierCommand {
				stages = append(stages, nil)
				continue
			}
			ran++
			stages[len(stages)-1] = append(stages[len(stages)-1], int(c.n))
		}
		if ran != len(program) {
			t.Fatalf("%d commands, want %d", ran, len(program))
		}
		clash := func(i, j int) bool {
			return conflicts(program[i], program[j]) || conflicts(program[j], program[i])
		}
		for s, list := range stages {
			for _, i := range list {
				needed := s == 0
				for before, others := range stages[:s+1] {
					for _, j := range others {
						if i != j && clash(i, j) && (before == s || j > i) {
							t.Fatalf("commands %d in stage %d and %d in stage %d conflict", i, s, j, before)
						}
						needed = needed || before == s-1 && clash(i, j)
					}
				}
				if !needed {
					t.Fatalf("command %d conflicts with nothing in the stage before its own, %d", i, s)
				}
			}
		}
		r.reset()
	}
}

// A chain's length is that of one found byte by byte.
func TestChainsOfRandomPrograms(t *testing.T) {
	rnd := random.NewStream(6, random.Test, 0, 0)
	for range 500 {
		var c chain
		var bytes [64]int
		longest := 0
		for i, x := range randomProgram(rnd) {
			length := 1
			for _, s := range x.reads {
				for _, n := range bytes[s.from:s.to] {
					if n > 0 {
						length = max(length, n+1)
					}
				}
			}
			for _, s := range x.writes {
				for at := s.from; at < s.to; at++ {
					bytes[at] = length
				}
			}
			longest = max(longest, length)
			if got := c.add(x.reads, x.writes); got != longest {
				t.Fatalf("command %d: chain %d, want %d", i, got, longest)
			}
		}
	}
}
