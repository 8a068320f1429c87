package llama

import (
	"context"
	"math"
	"strings"
	"testing"
)

// The log-probabilities of a shared beginning and several rows are those of each text alone.
func TestLogProbs(t *testing.T) {
	for _, kind := range []string{"llama", "mistral", "qwen2"} { // with a window, and biases
		m := create(t, open(t), small(kind))
		testLogProbs(t, m)
	}
}

func testLogProbs(t *testing.T, m *Model) {
	shared := []int32{1, 7, 3, 9, 4}
	rows := [][]int32{{5, 6, 7, 8}, {9}, {}, {2, 2, 2, 11, 12, 1}}
	for _, withShared := range []bool{true, false} {
		begin, texts := shared, [][]int32{}
		for _, r := range rows {
			texts = append(texts, append(append([]int32{}, shared...), r...))
		}
		parts := rows
		if !withShared {
			begin, parts = nil, texts
		}
		var queries [][]Query
		for _, text := range texts {
			var list []Query
			for after := len(shared); after <= len(text); after++ {
				list = append(list, Query{after, 3}, Query{after, 10})
			}
			queries = append(queries, list)
		}
		answers, err := m.LogProbs(context.Background(), begin, parts, queries)
		if err != nil {
			t.Fatal(err)
		}
		for r, text := range texts {
			logits := logits(t, m, NewBatch([][]int32{text}, nil))
			for i, q := range queries[r] {
				row := logits[(q.After-1)*m.Config.Vocab : q.After*m.Config.Vocab]
				sum, best := 0.0, true
				for _, x := range row {
					sum += math.Exp(float64(x))
					best = best && x <= row[q.Token]
				}
				want := float64(row[q.Token]) - math.Log(sum)
				if got := answers[r][i]; math.Abs(got.LogProb-want) > 1e-5 || got.Best != best {
					t.Errorf("shared %v, row %d after %d tokens, token %d: got %v, want %v, best %v", withShared, r,
						q.After, q.Token, got, want, best)
				}
			}
		}
	}
}

func TestLogProbsErrors(t *testing.T) {
	m := create(t, open(t), small("llama"))
	long := make([]int32, m.Config.MaxPositions)
	for _, c := range []struct {
		shared  []int32
		rows    [][]int32
		queries [][]Query
		want    string
	}{
		{nil, nil, nil, "0 rows with queries for 0"},
		{nil, [][]int32{{1}}, [][]Query{{{0, 1}}}, "a query after 0 tokens for token 1: want 1 to 1 tokens"},
		{[]int32{1, 2}, [][]int32{{1}}, [][]Query{{{1, 1}}}, "want 2 to 3 tokens"},
		{nil, [][]int32{{1}}, [][]Query{{{1, int32(m.Config.Vocab)}}}, "a token below"},
		{nil, [][]int32{{int32(m.Config.Vocab)}}, [][]Query{{}}, "token id"},
		{[]int32{-1}, [][]int32{{1}}, [][]Query{{}}, "token id -1"},
		{long, [][]int32{{1}}, [][]Query{{}}, "position 64"},
	} {
		if _, err := m.LogProbs(context.Background(), c.shared, c.rows, c.queries); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v: got %v, want %s", c.shared, c.queries, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.LogProbs(ctx, []int32{1}, [][]int32{{2}}, [][]Query{{{1, 1}}}); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
