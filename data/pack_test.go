package data

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/agora-ml/agora/batch"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
)

func TestCollatePacked(t *testing.T) {
	const no = Ignored
	a := Sequence{IDs: []int32{1, 5}, Labels: []int32{no, 6}, Source: Source{"a", 1}, Task: 1}
	b := Sequence{IDs: []int32{7}, Labels: []int32{8}, Source: Source{"a", 2}}
	c := Sequence{IDs: []int32{9, 9, 9}, Labels: []int32{9, 9, no}, Source: Source{"a", 3}, Task: 2}
	got := collate([][]Sequence{{a, b}, {c}}, 5)
	want := Batch{Batch: batch.Batch{Rows: 2,
		IDs:       []int32{1, 5, 7, 0, 0, 9, 9, 9, 0, 0},
		Labels:    []int32{no, 6, 8, no, no, 9, 9, no, no, no},
		Positions: []int32{0, 1, 0, 0, 0, 0, 1, 2, 0, 0},
		Segments:  []int32{0, 0, 1, -1, -1, 0, 0, 0, -1, -1}},
		Sources: [][]Source{{{"a", 1}, {"a", 2}}, {{"a", 3}}},
		Tasks:   [][]int{{1, 0}, {2}}, Judgments: [][]Judgment{{Unjudged, Unjudged}, {Unjudged}},
		Answers: [][]int{{0, 0}, {0}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if n := got.Tokens(); n != 6 {
		t.Errorf("%d tokens, want 6", n)
	}
	second := Batch{
		Batch: batch.Batch{Rows: 1, IDs: want.IDs[5:], Labels: want.Labels[5:], Positions: want.Positions[5:],
			Segments: want.Segments[5:]},
		Sources: want.Sources[1:], Tasks: want.Tasks[1:], Judgments: want.Judgments[1:],
		Answers: want.Answers[1:],
	}
	if row := got.Row(1); !reflect.DeepEqual(row, second) {
		t.Errorf("row 1 is %+v", row)
	}
}

// ofLengths are sequences whose ids are their number and whose last label counts.
func ofLengths(lengths ...int) []Sequence {
	var seqs []Sequence
	for i, n := range lengths {
		s := Sequence{IDs: slices.Repeat([]int32{int32(i)}, n), Labels: slices.Repeat([]int32{Ignored}, n),
			Source: Source{"of lengths", i}}
		s.Labels[n-1] = int32(i)
		seqs = append(seqs, s)
	}
	return seqs
}

// manyLengths are n random ones, short ones more often.
func manyLengths(n, longest int) []Sequence {
	r := random.NewStream(1, random.Test, 0, 0)
	var lengths []int
	for range n {
		x := float64(r.Float32())
		lengths = append(lengths, 1+int(x*x*float64(longest)))
	}
	return ofLengths(lengths...)
}

func TestPackIsBestFit(t *testing.T) {
	for _, c := range []struct {
		lengths []int
		want    [][]int
	}{
		{[]int{5, 5, 5}, [][]int{{0, 1}, {2}}},
		{[]int{9, 7, 2, 1, 1}, [][]int{{0, 4}, {1, 2, 3}}},
		{[]int{1, 10, 3}, [][]int{{1}, {2, 0}}},
		{[]int{6, 4, 3, 7}, [][]int{{3, 2}, {0, 1}}}, // as they come, only 2 of 3 rows were full
	} {
		order := make([]int, len(c.lengths))
		for i := range order {
			order[i] = i
		}
		if got := pack(ofLengths(c.lengths...), order, 10); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.lengths, got, c.want)
		}
	}
}

// Rows hold no more than they may, and every sequence once, also where far more rows
// are begun than may be open, and sizes are at the borders of the bit set.
func TestPackHoldsEverySequenceOnce(t *testing.T) {
	for _, size := range []int{1, 63, 64, 65, 300} {
		seqs := manyLengths(3000, size)
		order := random.NewStream(2, random.Test, 0, 0).Perm(len(seqs))
		var got []int
		for _, row := range pack(seqs, order, size) {
			n := 0
			for _, s := range row {
				n += len(seqs[s].IDs)
			}
			if n > size || len(row) == 0 {
				t.Fatalf("a row of %d sequences and %d tokens, at most %d fit", len(row), n, size)
			}
			got = append(got, row...)
		}
		slices.Sort(order)
		if slices.Sort(got); !slices.Equal(got, order) {
			t.Errorf("size %d: %d sequences of %d, or others", size, len(got), len(order))
		}
	}
}

func TestFirstEpoch(t *testing.T) {
	seqs := manyLengths(5000, 400)
	tokens := 0
	for _, s := range seqs {
		tokens += len(s.IDs)
	}
	packed, err := FirstEpoch(seqs, LoaderOptions{Rows: 4, Pack: 512})
	if err != nil || packed.Tokens != tokens || packed.Fill < 0.98 ||
		packed.Fill != float64(tokens)/float64(512*packed.Rows) {
		t.Errorf("packed: %+v, error %v, of %d tokens", packed, err, tokens)
	}
	single, err := FirstEpoch(seqs, LoaderOptions{Rows: 1})
	if want := (Epoch{5000, tokens, 1}); err != nil || single != want {
		t.Errorf("batches of one row: %+v, error %v, want %+v", single, err, want)
	}
	if padded, err := FirstEpoch(ofLengths(1, 3, 3), LoaderOptions{Rows: 3}); err != nil ||
		padded != (Epoch{3, 7, 7. / 9}) {
		t.Errorf("padded: %+v, error %v", padded, err)
	}
	if _, err := FirstEpoch(nil, LoaderOptions{Rows: 3}); err == nil {
		t.Error("an epoch of nothing")
	}
}

// batches are the next ones of a loader.
func batches(t *testing.T, seqs []Sequence, o LoaderOptions, n int) []Batch {
	t.Helper()
	l, err := NewLoader(seqs, o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var all []Batch
	for range n {
		all = append(all, l.Next())
	}
	return all
}

// With any number of workers, from any batch on: the same batches, packed or not.
func TestBatchIsAFunctionOfItsNumber(t *testing.T) {
	seqs := manyLengths(101, 30)
	for _, size := range []int{0, 40} {
		o := LoaderOptions{Rows: 3, Pack: size, Seed: 9}
		whole := batches(t, seqs, o, 120)
		for _, c := range []struct{ workers, first int }{{1, 0}, {4, 0}, {7, 0}, {1, 1}, {4, 61}, {3, 119}} {
			o.Workers, o.First = c.workers, c.first
			if got := batches(t, seqs, o, 120-c.first); !reflect.DeepEqual(got, whole[c.first:]) {
				t.Errorf("pack %d, %+v: other batches", size, c)
			}
		}
		o = LoaderOptions{Rows: 3, Pack: size, Seed: 10}
		if reflect.DeepEqual(batches(t, seqs, o, 120), whole) {
			t.Errorf("pack %d: another seed gives the same batches", size)
		}
		one := batches(t, seqs, LoaderOptions{Rows: 1, Pack: size, Seed: 9}, 6)
		for i, b := range one {
			if !reflect.DeepEqual(b.Sources[0], whole[i/3].Sources[i%3]) {
				t.Errorf("pack %d: row %d depends on how many are in a batch", size, i)
			}
		}
	}
}

func TestPackedEpochs(t *testing.T) {
	seqs := manyLengths(400, 90)
	const size, rows = 100, 4
	var all []Source // in the order in which they come
	var rowsOf []int // row of each
	var fills []float64
	for n, b := range batches(t, seqs, LoaderOptions{Rows: rows, Pack: size, Seed: 1, Workers: 2}, 150) {
		if b.Len() != size || b.Rows != rows {
			t.Fatalf("batch %d is %d × %d", n, b.Rows, b.Len())
		}
		for r, sources := range b.Sources {
			all = append(all, sources...)
			fills = append(fills, float64(b.Row(r).Tokens())/size)
			for range sources {
				rowsOf = append(rowsOf, n*rows+r)
			}
		}
	}
	epochs := slices.Collect(slices.Chunk(all, len(seqs)))
	if len(epochs) < 4 {
		t.Fatalf("only %d epochs", len(epochs))
	}
	for i, epoch := range epochs[:3] {
		seen := map[Source]bool{}
		for _, s := range epoch {
			seen[s] = true
		}
		if len(seen) != len(seqs) {
			t.Errorf("epoch %d holds %d of %d sequences", i, len(seen), len(seqs))
		}
	}
	if slices.Equal(epochs[0], epochs[1]) {
		t.Error("two epochs have the same order")
	}
	// The rows that filled badly are not the last of an epoch.
	end := rowsOf[len(seqs)-1] + 1
	worst := 0
	for r := range fills[:end] {
		if fills[r] < fills[worst] {
			worst = r
		}
	}
	if worst == end-1 {
		t.Errorf("the worst row is the last of %d: %v", end, fills[:end])
	}
}

func TestPackRefusesLongSequences(t *testing.T) {
	_, err := NewLoader(ofLengths(3, 5), LoaderOptions{Rows: 1, Pack: 4})
	if want := "data: of lengths row 1: want at most the 4 tokens that a packed row holds, got 5"; err == nil ||
		err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// A model sees packed sequences as it sees them alone: the loss of each is the same.
func TestModelSeesPackedSequencesAlone(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := llama.New(d, llama.Config{
		ModelType: "llama", Vocab: 61, Hidden: 32, Intermediate: 48, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8,
		MaxPositions: 64, NormEps: 1e-5, InitRange: 0.3, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 1, EOS: []int32{2},
	}, 3)
	if err != nil {
		t.Fatal(err)
	}
	loss := func(b Batch) float64 {
		if err := m.Config.CheckBatch(b.Batch); err != nil {
			t.Fatal(err)
		}
		scope := d.Scope()
		defer scope.Close()
		v, err := m.Loss(b.Batch, 1).Tensor().Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v[0]
	}
	r := random.NewStream(4, random.Test, 0, 0)
	bySource := map[Source]Sequence{}
	var seqs []Sequence
	for i := range 40 {
		prompt, answer := make([]int32, 1+r.IntN(8)), make([]int32, 1+r.IntN(8))
		for _, ids := range [][]int32{prompt, answer} {
			for j := range ids {
				ids[j] = int32(r.IntN(61))
			}
		}
		s := NewSequence(prompt, answer, 64)
		s.Source = Source{"random", i + 1}
		seqs, bySource[s.Source] = append(seqs, s), s
	}
	together := 0
	for n, b := range batches(t, seqs, LoaderOptions{Rows: 3, Pack: 50}, 5) {
		want, counted := 0.0, 0
		for _, sources := range b.Sources {
			together = max(together, len(sources))
			for _, s := range sources {
				alone := Collate([]Sequence{bySource[s]})
				want += loss(alone)
				counted += alone.Counted()
			}
		}
		if got := loss(b); counted != b.Counted() || math.Abs(got-want) > 1e-5*want || !(want > 0) {
			t.Errorf("batch %d: the loss is %v over %d tokens, of its sequences alone %v over %d", n, got,
				b.Counted(), want, counted)
		}
	}
	if together < 3 {
		t.Errorf("at most %d sequences were in a row", together)
	}
}

func BenchmarkPack(b *testing.B) {
	for _, size := range []int{512, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			seqs := manyLengths(50_000, 500)
			for b.Loop() {
				newEpochs(seqs, size, 1)
			}
		})
	}
}
