package leftovers

import (
	"errors"
	"testing"
)

func TestRemoveAll(t *testing.T) {
	defer func() { ended = false }()
	var removed []string
	begin := func(name string) *Leftover { return Begin(func() { removed = append(removed, name) }) }
	done, open := begin("done"), begin("open")
	if err := done.Finish(); err != nil {
		t.Fatal(err)
	}
	RemoveAll()
	RemoveAll()
	if len(removed) != 1 || removed[0] != "open" {
		t.Errorf("removed %q, want the open one, once", removed)
	}
	for _, l := range []*Leftover{open, begin("late")} {
		if err := l.Finish(); !errors.Is(err, ErrEnded) {
			t.Errorf("finished after the end: %v", err)
		}
	}
}
