package vulkan

import (
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
			r.add(dispatchCommand, x.reads, x.writes)
		}
		if r.counts.Barriers != tt.want || len(r.commands) != 2+tt.want {
			t.Errorf("%s: %d barriers among %d commands, want %d", tt.name, r.counts.Barriers, len(r.commands), tt.want)
		}
	}
}

func TestSubmissionStartsAfresh(t *testing.T) {
	var r recorder
	r.add(copyCommand, nil, at(0, 8))
	r.reset()
	r.add(dispatchCommand, at(0, 8), at(8, 16))
	if want := (Counts{Dispatches: 1, Writes: 1, Submissions: 1}); r.counts != want {
		t.Errorf("counts %+v, want %+v", r.counts, want)
	}
}

// Between any two commands that conflict stands a barrier, and no barrier stands
// where everything since the last one is free of conflicts with what follows.
func TestBarriersOfRandomPrograms(t *testing.T) {
	rnd := random.NewStream(5, random.Test, 0, 0)
	spans := func(n int) (list []span) {
		for range rnd.IntN(n + 1) {
			from := uint64(rnd.IntN(30))
			list = append(list, span{from, from + 1 + uint64(rnd.IntN(6))})
		}
		return list
	}
	for range 500 {
		var r recorder
		var program []access
		for range 40 {
			x := access{spans(3), spans(2)}
			program = append(program, x)
			r.add(dispatchCommand, x.reads, x.writes)
		}
		var open []access // since the last barrier
		next, needed := 0, false
		for _, c := range r.commands {
			if c.kind == barrierCommand {
				needed = true
				continue
			}
			x := program[next]
			next++
			clash := false
			for _, y := range open {
				clash = clash || conflicts(x, y) || conflicts(y, x)
			}
			if clash != needed {
				t.Fatalf("command %d: conflict %t, barrier %t", next-1, clash, needed)
			}
			if needed {
				open, needed = nil, false
			}
			open = append(open, x)
		}
		if next != len(program) {
			t.Fatalf("%d commands recorded, want %d", next, len(program))
		}
	}
}
