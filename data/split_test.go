package data

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
)

// seq is a sequence of letters, of which those behind the slash are labels, - for none.
func seq(file string, row int, text string) Sequence {
	ids, labels, _ := strings.Cut(text, "/")
	s := Sequence{Source: Source{file, row}}
	for _, c := range ids {
		s.IDs = append(s.IDs, c)
	}
	for _, c := range labels {
		if c == '-' {
			c = Ignored
		}
		s.Labels = append(s.Labels, c)
	}
	return s
}

func TestGroups(t *testing.T) {
	for _, c := range []struct {
		name string
		seqs []Sequence
		want []int
	}{
		{"none", nil, []int{}},
		{"all differ", []Sequence{seq("f", 1, "ab/bc"), seq("f", 2, "ab/-c"), seq("f", 3, "ab/bd"),
			seq("f", 4, "aab/abc")}, []int{0, 1, 2, 3}},
		{"the same to the model", []Sequence{seq("f", 1, "ab/bc"), seq("f", 2, "x/y"), seq("g", 1, "ab/bc")},
			[]int{0, 1, 0}},
		{"pieces of a row", []Sequence{seq("f", 1, "ab/bc"), seq("f", 2, "x/y"), seq("f", 1, "c/d"),
			seq("g", 1, "z/z")}, []int{0, 1, 0, 2}},
		{"an equal piece joins rows", []Sequence{seq("f", 1, "a/b"), seq("f", 1, "c/d"), seq("f", 2, "c/d"),
			seq("f", 2, "e/f"), seq("f", 3, "e/f"), seq("f", 4, "x/y")}, []int{0, 0, 0, 0, 0, 1}},
		{"two groups become one", []Sequence{seq("f", 1, "a/b"), seq("f", 2, "c/d"), seq("f", 3, "a/b"),
			seq("f", 3, "c/d")}, []int{0, 0, 0, 0}},
		{"a document", []Sequence{seq("f", 0, "a/b"), seq("f", 0, "c/d"), seq("f", 0, "a/b"), seq("g", 1, "c/d"),
			seq("g", 1, "e/f")}, []int{0, 1, 0, 1, 1}},
		{"the border of ids and labels", []Sequence{{IDs: []int32{1, 2}, Labels: []int32{3}},
			{IDs: []int32{1}, Labels: []int32{2, 3}}}, []int{0, 1}},
	} {
		if of, n := Groups(c.seqs); !slices.Equal(of, c.want) || len(c.want) > 0 && n != slices.Max(c.want)+1 {
			t.Errorf("%s: got %v, %d groups, want %v", c.name, of, n, c.want)
		}
	}
}

// Whatever is drawn, no group is on both sides, all are there in their order, and the
// order of the rows and how often each is there decide nothing.
func TestHoldOut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var seqs []Sequence
		for range 1 + random.IntN(60) {
			text := fmt.Sprintf("%c%c/-%c", 'a'+random.IntN(4), 'a'+random.IntN(6), 'a'+random.IntN(4))
			seqs = append(seqs, seq(fmt.Sprint("file", random.IntN(2)), random.IntN(40), text))
		}
		n := random.IntN(len(seqs) + 3)
		train, held := HoldOut(seqs, n)
		if len(held) > n || len(train)+len(held) != len(seqs) {
			t.Fatalf("%d of %d: %d and %d", n, len(seqs), len(train), len(held))
		}
		of, groups := Groups(seqs)
		side := make([]string, groups)
		sum := 0
		for i, s := range seqs {
			here := "train"
			if sum < len(held) && reflect.DeepEqual(s, held[sum]) && side[of[i]] != "train" {
				here = "held"
				sum++
			}
			if side[of[i]] != "" && side[of[i]] != here {
				t.Fatalf("group %d is on both sides of %v", of[i], seqs)
			}
			side[of[i]] = here
		}
		if sum != len(held) {
			t.Fatalf("held out %v, not in the order of %v", held, seqs)
		}
		shuffled := slices.Clone(seqs)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		_, again := HoldOut(shuffled, n)
		spellAll := func(all []Sequence) (list []string) {
			for _, s := range all {
				list = append(list, fmt.Sprint(s))
			}
			slices.Sort(list)
			return list
		}
		if !slices.Equal(spellAll(held), spellAll(again)) {
			t.Fatalf("the order of the rows decides: %v, %v", held, again)
		}
	}
}

// The choice is by content alone, for ever: these are the rows that every machine takes.
func TestHoldOutIsTheSameEverywhere(t *testing.T) {
	var seqs []Sequence
	for i := range 100 {
		seqs = append(seqs, Sequence{IDs: []int32{1, int32(i)}, Labels: []int32{Ignored, int32(2 * i)},
			Source: Source{"f", i + 1}})
	}
	_, held := HoldOut(seqs, 5)
	var rows []int
	for _, s := range held {
		rows = append(rows, s.Source.Row)
	}
	if want := []int{6, 17, 26, 75, 84}; !slices.Equal(rows, want) {
		t.Errorf("rows %v are held out, want %v", rows, want)
	}
}

// Rows that differ where the model does not look are one: behind max-tokens, and in the
// spaces that the tokenizer makes one of.
func TestHoldOutOfRows(t *testing.T) {
	var rows []Row
	for i := range 40 {
		rows = append(rows, Row{Source: Source{"f", i + 1}, Prompt: "p",
			Answer: strings.Repeat("a", 3+i%4) + strings.Repeat("b", i)})
	}
	for _, c := range []struct {
		o      TokenizeOptions
		groups int
	}{
		{TokenizeOptions{MaxTokens: 100}, 40},
		{TokenizeOptions{MaxTokens: 5}, 3},                          // <paaa, and the end, b or a
		{TokenizeOptions{MaxTokens: 3}, 1},                          // <pa, and a
		{TokenizeOptions{MaxTokens: 5, Truncate: TruncateDrop}, 1},  // the shortest
		{TokenizeOptions{MaxTokens: 5, Truncate: TruncateSplit}, 2}, // the shortest, and all others, by bbbbb
	} {
		seqs, _, err := Tokenize(t.Context(), letters{}, rows, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if _, n := Groups(seqs); n != c.groups {
			t.Errorf("%+v: %d groups, want %d", c.o, n, c.groups)
		}
	}
}

// Of a book, which is one row without a number, some sequences are held out; a row of text
// that is split stays whole.
func TestHoldOutOfText(t *testing.T) {
	book := Row{Source: Source{File: "book.txt"}, Format: FormatText, Text: strings.Repeat("abcdefghijk", 100)}
	seqs, _, err := Tokenize(t.Context(), letters{}, []Row{book}, TokenizeOptions{MaxTokens: 10})
	if err != nil {
		t.Fatal(err)
	}
	// <abcdefghi, then pieces of 10 letters that begin at each of the 11, ten times, less what is behind the last.
	if _, n := Groups(seqs); len(seqs) != 111 || n != 13 {
		t.Errorf("%d sequences in %d groups", len(seqs), n)
	}
	train, held := HoldOut(seqs, 20)
	if len(held) == 0 || len(held) > 20 || len(train)+len(held) != len(seqs) {
		t.Errorf("%d sequences of a book are split into %d and %d", len(seqs), len(train), len(held))
	}
	var rows []Row
	for i := range 30 {
		rows = append(rows, Row{Source: Source{"rows.jsonl", i + 1}, Format: FormatText,
			Text: strings.Repeat(string(rune('a'+i)), 25)})
	}
	seqs, _, err = Tokenize(t.Context(), letters{}, rows, TokenizeOptions{MaxTokens: 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, n := Groups(seqs); len(seqs) != 90 || n != 30 {
		t.Errorf("%d sequences of 30 rows in %d groups", len(seqs), n)
	}
	if train, held = HoldOut(seqs, 10); len(held) != 9 || len(train) != 81 {
		t.Errorf("%d are held out, want 3 rows of 3", len(held))
	}
}

func TestHoldOutOfAlpaca(t *testing.T) {
	dir := realdata.Folder(t)
	rows, _, err := Read(t.Context(), []string{filepath.Join(dir, "alpaca", "alpaca_data.json.gz")}, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		rows[i].Prompt = "Response:"
	}
	for _, c := range []struct{ tokens, groups int }{{1000, 50842}, {24, 37500}} {
		seqs, _, err := Tokenize(t.Context(), letters{}, rows, TokenizeOptions{MaxTokens: c.tokens})
		if err != nil {
			t.Fatal(err)
		}
		if _, n := Groups(seqs); n != c.groups {
			t.Errorf("%d tokens: %d sequences in %d groups, want %d", c.tokens, len(seqs), n, c.groups)
		}
		train, held := HoldOut(seqs, 500)
		if len(held) != 500 || len(train) != len(seqs)-500 {
			t.Errorf("%d tokens: split into %d and %d", c.tokens, len(train), len(held))
		}
		spelled := func(s Sequence) string { // letters has one id a byte
			var b []byte
			for _, id := range append(slices.Clone(s.IDs), s.Labels...) {
				b = append(b, byte(id))
			}
			return string(b)
		}
		seen := map[string]bool{}
		for _, s := range train {
			seen[spelled(s)] = true
		}
		for _, s := range held {
			if seen[spelled(s)] {
				t.Errorf("held out and trained on: %s", s.Source)
			}
		}
	}
}

// Of several tasks each gives as many, and what two of them share is on one side.
func TestHoldOutOfTasks(t *testing.T) {
	var seqs []Sequence
	for task := range 3 {
		for row := range 40 {
			text := fmt.Sprintf("%c%d/-%c", 'a'+task, row, 'a'+row%26)
			if row < 5 {
				text = fmt.Sprintf("shared%d/-b", row)
			}
			s := seq(fmt.Sprint("task", task), row+1, text)
			s.Task = task
			seqs = append(seqs, s)
		}
	}
	train, held := HoldOut(seqs, 7)
	counts := make([]int, 3)
	sides := map[string]string{}
	for side, part := range map[string][]Sequence{"train": train, "held": held} {
		for _, s := range part {
			if side == "held" {
				counts[s.Task]++
			}
			if text := fmt.Sprint(s.IDs); sides[text] == "" || sides[text] == side {
				sides[text] = side
			} else {
				t.Errorf("%v is on both sides", s.Source)
			}
		}
	}
	if !slices.Equal(counts, []int{7, 7, 7}) || len(train) != 120-21 {
		t.Errorf("%v held out, %d to train on; want 7 of each task", counts, len(train))
	}
}
