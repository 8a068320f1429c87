package data

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// threeTasks are 60, 20 and 5 sequences whose lengths are 2, 5 and 11 in the mean.
func threeTasks() ([]Sequence, Mixture) {
	var seqs []Sequence
	for task, n := range []int{60, 20, 5} {
		for i := range n {
			length := []int{2, 5, 11}[task] + i%3 - 1
			s := Sequence{IDs: make([]int32, length), Labels: make([]int32, length),
				Source: Source{"tasks", len(seqs) + 1}, Task: task}
			s.IDs[0] = int32(len(seqs))
			seqs = append(seqs, s)
		}
	}
	return seqs, Mixture{Tasks: []MixtureTask{{Name: "a", Weight: 1}, {Name: "b", Weight: 2}, {Name: "c", Weight: 3}}}
}

// drawn are the tasks and numbers of the first n sequences that a loader gives, row by row.
func drawn(t *testing.T, seqs []Sequence, o LoaderOptions, n int) (tasks, numbers []int) {
	t.Helper()
	l, err := NewLoader(seqs, o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for len(tasks) < n {
		b := l.Next()
		if b.Rows == 0 {
			break
		}
		for r := range b.Rows {
			tasks = append(tasks, b.Tasks[r]...)
			for _, s := range b.Sources[r] {
				numbers = append(numbers, s.Row)
			}
		}
	}
	return tasks, numbers
}

// Shares over 10,000 draws are within four standard errors of what the weighting asks for, which is
// computed here by hand.
func TestMixtureShares(t *testing.T) {
	seqs, m := threeTasks()
	tokens := make([]float64, 3)
	count := []float64{60, 20, 5}
	for _, s := range seqs {
		tokens[s.Task] += float64(len(s.IDs))
	}
	for _, c := range []struct {
		name string
		with func(*Mixture)
		want func(task int) float64 // in proportion
	}{
		{"size", func(m *Mixture) {}, func(i int) float64 { return count[i] }},
		{"size of tokens", func(m *Mixture) { m.Unit = Tokens }, func(i int) float64 { return count[i] }},
		{"equal", func(m *Mixture) { m.Weighting = WeightEqually }, func(int) float64 { return 1 }},
		{"equal tokens", func(m *Mixture) { m.Weighting, m.Unit = WeightEqually, Tokens },
			func(i int) float64 { return count[i] / tokens[i] }},
		{"temperature", func(m *Mixture) { m.Weighting, m.Temperature = WeightByTemperature, 2 },
			func(i int) float64 { return math.Sqrt(count[i]) }},
		{"weights", func(m *Mixture) { m.Weighting = WeightExplicitly }, func(i int) float64 { return float64(i + 1) }},
		{"weights of tokens", func(m *Mixture) { m.Weighting, m.Unit = WeightExplicitly, Tokens },
			func(i int) float64 { return float64(i+1) * count[i] / tokens[i] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := m
			c.with(&m)
			shares, err := m.Shares(seqs)
			if err != nil {
				t.Fatal(err)
			}
			const n = 10000
			tasks, _ := drawn(t, seqs, LoaderOptions{Rows: 8, Seed: 1, Mixture: &m}, n)
			got := make([]float64, 3)
			for _, task := range tasks[:n] {
				got[task]++
			}
			total := c.want(0) + c.want(1) + c.want(2)
			for i := range got {
				p := c.want(i) / total
				if math.Abs(shares[i]-p) > 1e-12 {
					t.Errorf("task %d: share %v, want %v", i, shares[i], p)
				}
				if off := (got[i]/n - p) / math.Sqrt(p*(1-p)/n); math.Abs(off) > 4 {
					t.Errorf("task %d: %v of draws, want %v: %.1f standard errors", i, got[i]/n, p, off)
				}
			}
		})
	}
}

// A task's rows come epoch by epoch, whatever the others do.
func TestMixtureEpochsOfATask(t *testing.T) {
	seqs, m := threeTasks()
	m.Weighting = WeightEqually
	tasks, numbers := drawn(t, seqs, LoaderOptions{Rows: 4, Seed: 3, Mixture: &m}, 600)
	for task, n := range []int{60, 20, 5} {
		var of []int
		for i := range tasks {
			if tasks[i] == task {
				of = append(of, numbers[i])
			}
		}
		var orders [][]int
		for epoch := range slices.Chunk(of, n) {
			if len(epoch) < n {
				break
			}
			orders = append(orders, slices.Clone(epoch))
			slices.Sort(epoch)
			if len(slices.Compact(epoch)) != n {
				t.Errorf("task %d: an epoch without each of its %d rows: %v", task, n, epoch)
			}
		}
		if len(orders) < 2 || slices.Equal(orders[0], orders[1]) {
			t.Errorf("task %d: %d epochs, want several in orders of their own", task, len(orders))
		}
	}
}

// MaxEpochs ends a task; the others take its share in proportion, and the last one ends the batches.
func TestMixtureEnds(t *testing.T) {
	seqs, m := threeTasks()
	m.Weighting = WeightEqually
	m.Tasks[0].MaxEpochs, m.Tasks[1].MaxEpochs, m.Tasks[2].MaxEpochs = 0.5, 2, 3
	if n, err := m.Draws(seqs); n != 30+40+15 || err != nil {
		t.Errorf("%d draws, %v; want 85", n, err)
	}
	for _, workers := range []int{1, 3} {
		tasks, numbers := drawn(t, seqs, LoaderOptions{Rows: 4, Seed: 5, Workers: workers, Mixture: &m}, 1000)
		if len(tasks) != 85 {
			t.Fatalf("%d sequences, want 85", len(tasks))
		}
		times := map[int]int{}
		for _, n := range numbers {
			times[n]++
		}
		for i, s := range seqs {
			switch got := times[i+1]; s.Task {
			case 0:
				if got > 1 {
					t.Errorf("row %d: drawn %d times in half an epoch", i+1, got)
				}
			default:
				if got != s.Task+1 {
					t.Errorf("row %d: drawn %d times, want %d", i+1, got, s.Task+1)
				}
			}
		}
	}
	m.Tasks[1].MaxEpochs = 0
	if n, err := m.Draws(seqs); n != 0 || err != nil {
		t.Errorf("%d draws, %v; want no end", n, err)
	}
}

// Batches do not depend on how many goroutines make them, or where a run went on.
func TestMixtureResumes(t *testing.T) {
	seqs, m := threeTasks()
	m.Weighting, m.Temperature = WeightByTemperature, 3
	m.Tasks[2].MaxEpochs = 2
	for _, tokens := range []int{0, 16} {
		o := LoaderOptions{Rows: 3, Pack: tokens, Seed: 9, Mixture: &m}
		whole, err := NewLoader(seqs, o)
		if err != nil {
			t.Fatal(err)
		}
		defer whole.Close()
		var want [][]int32
		for range 500 {
			want = append(want, whole.Next().IDs)
		}
		for first, workers := range []int{1, 2, 5} {
			o.First, o.Workers = first*171, workers
			l, err := NewLoader(seqs, o)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for i := o.First; i < len(want); i++ {
				if got := l.Next().IDs; !slices.Equal(got, want[i]) {
					t.Fatalf("pack %d: batch %d of a loader that began with %d: %v, want %v", tokens, i, o.First, got,
						want[i])
				}
			}
		}
	}
}

// Packed rows hold what is drawn, each once, and fill well.
func TestMixturePacked(t *testing.T) {
	seqs, m := threeTasks()
	o := LoaderOptions{Rows: 2, Pack: 32, Seed: 2, Mixture: &m}
	m.Tasks[0].MaxEpochs, m.Tasks[1].MaxEpochs, m.Tasks[2].MaxEpochs = 1, 1, 1
	_, numbers := drawn(t, seqs, o, 1000)
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != i+1 {
			t.Fatalf("rows %v, want each of %d once", numbers, len(seqs))
		}
	}
	e, err := FirstEpoch(seqs, o)
	if err != nil {
		t.Fatal(err)
	}
	if tokens := 60*2 + 20*5 + 5*11 - 1 - 1; e.Tokens != tokens || e.Fill < 0.9 {
		t.Errorf("%+v, want %d tokens, filled to 90 %%", e, tokens)
	}
}

func TestMixtureRefuses(t *testing.T) {
	seqs, m := threeTasks()
	for want, with := range map[string]func(*Mixture, []Sequence){
		"want tasks, got none":             func(m *Mixture, _ []Sequence) { m.Tasks = nil },
		`mixture "even"`:                   func(m *Mixture, _ []Sequence) { m.Weighting = "even" },
		`mixture-unit "words"`:             func(m *Mixture, _ []Sequence) { m.Unit = "words" },
		"mixture-temperature: want 1 to":   func(m *Mixture, _ []Sequence) { m.Weighting = WeightByTemperature },
		`want one task named "a", got two`: func(m *Mixture, _ []Sequence) { m.Tasks[1].Name = "a" },
		"want a name":                      func(m *Mixture, _ []Sequence) { m.Tasks[1].Name = "" },
		"b: weight: want more than 0": func(m *Mixture, _ []Sequence) {
			m.Weighting, m.Tasks[1].Weight = WeightExplicitly, 0
		},
		"b: weight: want more than 0, at most 1e+06, got N": func(m *Mixture, _ []Sequence) {
			m.Weighting, m.Tasks[1].Weight = WeightExplicitly, math.NaN()
		},
		"c: max-epochs: want 0 to": func(m *Mixture, _ []Sequence) { m.Tasks[2].MaxEpochs = -1 },
		"c: want rows to train on, got none": func(_ *Mixture, seqs []Sequence) {
			for i := range seqs {
				seqs[i].Task = min(seqs[i].Task, 1)
			}
		},
		"want a task below 3, got 3": func(_ *Mixture, seqs []Sequence) { seqs[80].Task = 3 },
	} {
		m, seqs := m, slices.Clone(seqs)
		m.Tasks = slices.Clone(m.Tasks)
		with(&m, seqs)
		_, err := NewLoader(seqs, LoaderOptions{Rows: 1, Mixture: &m})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
