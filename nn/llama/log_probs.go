package llama

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Query asks how likely a token is to follow the first After tokens of a row.
type Query struct {
	After int // from 1
	Token int32
}

// LogProb answers a Query.
type LogProb struct {
	LogProb float64 // nats
	Best    bool    // no token is likelier
}

// maxQueryLogits bounds the logits that are in memory at once, in elements.
const maxQueryLogits = 8 << 20

// LogProbs answers the queries of several rows in one pass. All rows begin with shared, which
// may be empty and is computed once; After counts its tokens too, and must be at least their
// number. Rows that the model cannot read are an error.
func (m *Model) LogProbs(
	ctx context.Context, shared []int32, rows [][]int32, queries [][]Query,
) (answers [][]LogProb, err error) {
	if len(rows) == 0 || len(queries) != len(rows) {
		return nil, fmt.Errorf("llama: %d rows with queries for %d: want as many, at least 1", len(rows), len(queries))
	}
	for r, list := range queries {
		for _, q := range list {
			if first := max(1, len(shared)); q.After < first || q.After > len(shared)+len(rows[r]) ||
				q.Token < 0 || int(q.Token) >= m.Config.Vocab {
				return nil, fmt.Errorf("llama: row %d: a query after %d tokens for token %d:"+
					" want %d to %d tokens and a token below %d",
					r, q.After, q.Token, first, len(shared)+len(rows[r]), m.Config.Vocab)
			}
		}
	}
	scope := m.device.Scope()
	defer scope.Close()
	body, tokens, err := m.suffixes(ctx, shared, rows)
	if err != nil {
		return nil, err
	}
	// What the head sees: the last token of shared, and then those of the rows.
	width := tokens
	if len(shared) > 0 {
		width++
	}
	var places []int32
	for r, list := range queries {
		for _, q := range list {
			places = append(places, int32(r*width+q.After-max(1, len(shared))))
		}
	}
	wanted, values := slices.Concat(queries...), make([]LogProb, 0, len(places))
	step := max(1, maxQueryLogits/m.Config.Vocab)
	for from := 0; from < len(places); from += step {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := min(from+step, len(places))
		part, err := m.logProbsAt(body, places[from:to], wanted[from:to])
		if err != nil {
			return nil, err
		}
		values = append(values, part...)
	}
	for _, list := range queries {
		answers = append(answers, values[:len(list):len(list)])
		values = values[len(list):]
	}
	return answers, nil
}

// logProbsAt makes the logits at some rows of body, and looks the tokens up.
func (m *Model) logProbsAt(body *nn.Var, places []int32, wanted []Query) ([]LogProb, error) {
	scope := m.device.Scope()
	defer scope.Close()
	in := m.onDevice(index{places, []int{len(places)}})
	rows := ops.GatherRows(body, in[0])
	logits, err := m.logits(m.hidden(rows)).Tensor().Float32s()
	if err != nil {
		return nil, err
	}
	answers := make([]LogProb, len(places))
	for i, q := range wanted {
		row := logits[i*m.Config.Vocab : (i+1)*m.Config.Vocab]
		most := math.Inf(-1)
		for _, x := range row {
			most = max(most, float64(x))
		}
		sum := 0.0
		for _, x := range row {
			sum += math.Exp(float64(x) - most)
		}
		own := float64(row[q.Token])
		answers[i] = LogProb{own - most - math.Log(sum), own == most}
		if p := answers[i].LogProb; math.IsNaN(p) || math.IsInf(p, 0) {
			return nil, fmt.Errorf("llama: a token has the log-probability %v: the weights or the storage type are "+
				"broken", p)
		}
	}
	return answers, nil
}

// suffixes runs the rows behind shared: what the blocks make of them, as rows of hidden elements,
// for each of rows tokens of them, and before these the last token of shared if there is one.
func (m *Model) suffixes(ctx context.Context, shared []int32, rows [][]int32) (body *nn.Var, tokens int, err error) {
	b := NewBatch(rows, nil)
	tokens = b.Len()
	if len(shared) == 0 {
		var x *nn.Var
		if err := tensor.Catch(func() { x, _ = m.body(b) }); err != nil {
			return nil, 0, err
		}
		return ops.Reshape(x, -1, m.Config.Hidden), tokens, m.device.Err()
	}
	if m.Config.longer(len(shared), len(shared)+tokens) { // what is shared is not the same in longer rows
		return m.wholeRows(shared, rows)
	}
	first := m.NewDecoder(1, len(shared))
	before, _, err := first.feed([][]int32{shared})
	if err != nil {
		return nil, 0, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	last := ops.Slice(before, 1, len(shared)-1, len(shared)) // [1, 1, hidden]
	all := m.NewDecoder(len(rows), len(shared)+tokens)
	all.begin(first)
	if tokens == 0 {
		return ops.Reshape(ops.Expand(last, len(rows), 1, m.Config.Hidden), -1, m.Config.Hidden), 0, m.device.Err()
	}
	x, _, err := all.feed(rows)
	if err != nil {
		return nil, 0, err
	}
	joined := ops.Concat(1, ops.Expand(last, len(rows), 1, m.Config.Hidden), x)
	return ops.Reshape(joined, -1, m.Config.Hidden), tokens, m.device.Err()
}

// wholeRows is suffixes with nothing computed once.
func (m *Model) wholeRows(shared []int32, rows [][]int32) (body *nn.Var, tokens int, err error) {
	whole := make([][]int32, len(rows))
	for r, row := range rows {
		whole[r] = slices.Concat(shared, row)
		tokens = max(tokens, len(row))
	}
	var x *nn.Var
	if err := tensor.Catch(func() { x, _ = m.body(NewBatch(whole, nil)) }); err != nil {
		return nil, 0, err
	}
	x = ops.Slice(x, 1, len(shared)-1, len(shared)+tokens)
	return ops.Reshape(x, -1, m.Config.Hidden), tokens, m.device.Err()
}

// begin gives every row of an empty decoder what the one row of another has.
func (d *Decoder) begin(one *Decoder) {
	for layer, c := range d.caches {
		from := one.caches[layer]
		length := one.used * c.K.Dim(2) * c.K.Dim(3)
		k := kernels.Copy{Rows: d.rows, Cols: length, YStride: d.slots * c.K.Dim(2) * c.K.Dim(3)}
		d.model.device.Run(k, c.K, from.K)
		d.model.device.Run(k, c.V, from.V)
	}
	d.used = one.used
	for r := range d.rows {
		d.length[r] = one.length[0]
		copy(d.positions[r*d.slots:], one.positions[:one.used])
		copy(d.segments[r*d.slots:], one.segments[:one.used])
	}
}
