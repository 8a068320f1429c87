package data

import (
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/agora-ml/agora/batch"
)

func TestCollate(t *testing.T) {
	const no = Ignored
	got := Collate([]Sequence{
		{IDs: []int32{1, 5}, Labels: []int32{no, 6}, Source: Source{"a", 1}},
		{IDs: []int32{1, 7, 8}, Labels: []int32{no, 8, 2}, Source: Source{"a", 2}},
	})
	want := Batch{Batch: batch.Batch{Rows: 2,
		IDs:       []int32{1, 5, 0, 1, 7, 8},
		Labels:    []int32{no, 6, no, no, 8, 2},
		Positions: []int32{0, 1, 0, 0, 1, 2},
		Segments:  []int32{0, 0, -1, 0, 0, 0}},
		Sources: [][]Source{{{"a", 1}}, {{"a", 2}}},
		Tasks:   [][]int{{0}, {0}}, Judgments: [][]Judgment{{Unjudged}, {Unjudged}}, Answers: [][]int{{0}, {0}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if n := got.Counted(); n != 3 {
		t.Errorf("%d tokens count, want 3", n)
	}
	if n := got.Tokens(); n != 5 {
		t.Errorf("%d tokens, want 5", n)
	}
}

// numbered are n sequences of different lengths that begin with their number.
func numbered(n int) []Sequence {
	var seqs []Sequence
	for i := range n {
		s := Sequence{IDs: make([]int32, 1+i%5), Labels: make([]int32, 1+i%5), Source: Source{"numbered", i}}
		s.IDs[0] = int32(i)
		seqs = append(seqs, s)
	}
	return seqs
}

// take is the number of each row of the next batches, and their counted tokens.
func take(t *testing.T, seqs []Sequence, rows, first, batches int, seed uint64) (numbers []int, counted int) {
	t.Helper()
	l, err := NewLoader(seqs, LoaderOptions{Rows: rows, Seed: seed, First: first})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range batches {
		b := l.Next()
		if b.Rows != rows {
			t.Fatalf("a batch of %d rows, want %d", b.Rows, rows)
		}
		for r := range rows {
			numbers = append(numbers, int(b.IDs[r*b.Len()]))
		}
		counted += b.Counted()
	}
	return numbers, counted
}

func TestEpochHoldsEachRowOnce(t *testing.T) {
	const n = 60
	seqs := numbered(n)
	got, counted := take(t, seqs, 4, 0, 3*n/4, 1)
	all := 0
	for _, s := range seqs {
		all += s.Counted()
	}
	if counted != 3*all {
		t.Errorf("three epochs counted %d tokens, want %d", counted, 3*all)
	}
	want := make([]int, n)
	for i := range want {
		want[i] = i
	}
	epochs := slices.Collect(slices.Chunk(got, n))
	for i, e := range epochs {
		if slices.Equal(e, want) {
			t.Errorf("epoch %d is not shuffled", i)
		}
		if sorted := slices.Sorted(slices.Values(e)); !slices.Equal(sorted, want) {
			t.Errorf("epoch %d: a row is lost or doubled: %v", i, sorted)
		}
	}
	if slices.Equal(epochs[0], epochs[1]) {
		t.Error("two epochs have the same order")
	}
}

func TestOrderIsAFunctionOfSeedAndNumber(t *testing.T) {
	seqs := numbered(7) // batches of 4 go over the ends of epochs
	whole, _ := take(t, seqs, 4, 0, 20, 1)
	if again, _ := take(t, seqs, 4, 0, 20, 1); !slices.Equal(again, whole) {
		t.Error("the same seed gives another order")
	}
	if singles, _ := take(t, seqs, 1, 0, 80, 1); !slices.Equal(singles, whole) {
		t.Error("80 batches of 1 row are not 20 of 4")
	}
	if resumed, _ := take(t, seqs, 4, 13, 7, 1); !slices.Equal(resumed, whole[13*4:]) {
		t.Error("starting at batch 13 is not going on after 12")
	}
	if large, _ := take(t, seqs, 20, 0, 4, 1); !slices.Equal(large, whole) {
		t.Error("a batch of several epochs has another order")
	}
	if other, _ := take(t, seqs, 4, 0, 20, 2); slices.Equal(other, whole) {
		t.Error("another seed gives the same order")
	}
}

func TestBatchesAreAllRowsInOrder(t *testing.T) {
	var got, counted, rows int
	seqs := numbered(10)
	for _, b := range Batches(seqs, 4) {
		for r := range b.Rows {
			if int(b.IDs[r*b.Len()]) != got {
				t.Errorf("row %d is number %d", got, b.IDs[r*b.Len()])
			}
			got++
		}
		counted += b.Counted()
		rows += b.Rows
	}
	if rows != 10 || counted != 2*(1+2+3+4+5) {
		t.Errorf("%d rows and %d counted tokens, want 10 and 30", rows, counted)
	}
}

// The bubble waits for every goroutine that was started in it, and fails when one stays
// blocked.
func TestCloseEndsTheGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 20 {
			l, err := NewLoader(numbered(3), LoaderOptions{Rows: 2, Workers: i % 5})
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				l.Next()
			}
			l.Close()
			l.Close()
			if b := l.Next(); b.Rows != 0 {
				t.Errorf("after Close: a batch of %d rows", b.Rows)
			}
		}
	})
}

func TestLoaderRefuses(t *testing.T) {
	for _, c := range []struct {
		seqs []Sequence
		o    LoaderOptions
	}{
		{nil, LoaderOptions{Rows: 1}}, {numbered(1), LoaderOptions{}}, {numbered(1), LoaderOptions{Rows: 1, First: -1}},
		{numbered(1), LoaderOptions{Rows: 1, Workers: -1}}, {numbered(1), LoaderOptions{Rows: 1, Pack: -1}},
		{numbered(1), LoaderOptions{Rows: 1, Pack: maxPack + 1}},
	} {
		if l, err := NewLoader(c.seqs, c.o); err == nil {
			l.Close()
			t.Errorf("%d rows with %+v were taken", len(c.seqs), c.o)
		}
	}
}
