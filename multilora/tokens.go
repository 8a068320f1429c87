package multilora

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// tokenRows are rows of the embedding or the head that train in full, in place of the model's (PEFT's
// trainable_token_indices). They stand beside the weight: what they add to it is selector (Rows - weight's rows).
type tokenRows struct {
	Rows *nn.Param `name:"tokens"` // [tokens, hidden], f32; nil until start or set

	slot
	ids      []int32
	at       *tensor.Tensor // ids
	selector *tensor.Tensor // [vocab, tokens]: 1 where a row is a token's, 0 elsewhere
	was      [][]byte       // the weight's rows, while the adapter is merged
}

// Factors implements nn.Beside.
func (r *tokenRows) Factors() (up, down *nn.Var) {
	return autograd.Const(r.selector), ops.Sub(r.Rows.Var(), r.own())
}

// Drop implements nn.Beside: all of x counts, as in the weight's own rows.
func (r *tokenRows) Drop(x *nn.Var) *nn.Var { return x }

// own are the weight's rows.
func (r *tokenRows) own() *nn.Var {
	return ops.EmbeddingAs(autograd.Const(r.base.Weight.Value), autograd.Const(r.at), tensor.F32)
}

// start gives new rows the weight's values.
func (r *tokenRows) start() {
	r.allocate()
	assign(r.Rows.Value, r.own().Tensor())
}

// set gives loaded rows their values.
func (r *tokenRows) set(values []float32) {
	r.allocate()
	r.Rows.Value.SetFloat32s(values)
}

// allocate makes the rows, of undefined values, and what puts them in their places.
func (r *tokenRows) allocate() {
	w, n := r.base.Weight.Value, len(r.ids)
	d, vocab := w.Device(), w.Dim(0)
	r.Rows = autograd.NewParam(d.New(tensor.F32, r.shape()...))
	r.at = d.FromInt32s(r.ids, n)
	if d.IsMeta() {
		r.selector = d.New(tensor.BF16, vocab, n)
		return
	}
	bits := make([]byte, 2*vocab*n)
	for i, id := range r.ids {
		binary.LittleEndian.PutUint16(bits[2*(int(id)*n+i):], 0x3f80) // 1
	}
	r.selector = d.FromBytes(tensor.BF16, bits, vocab, n)
}

// shape is that of the rows.
func (r *tokenRows) shape() []int { return []int{len(r.ids), r.base.Weight.Value.Dim(1)} }

// check is an error if something else stands beside the weight.
func (r *tokenRows) check() error {
	if here := *r.beside; here != nil && here != nn.Beside(r) {
		return fmt.Errorf("multilora: layer %s holds a %T: Detach it first", r.name, here)
	}
	return nil
}

func (r *tokenRows) enter() { *r.beside = r }

func (r *tokenRows) leave() {
	if *r.beside == nn.Beside(r) {
		*r.beside = nil
	}
}

// copied is the same beside the same weight, with rows of its own.
func (r *tokenRows) copied() *tokenRows {
	c := *r
	c.Rows, c.was = autograd.NewParam(copyOf(r.Rows.Value)), nil
	return &c
}

// merge puts the rows into the weight.
func (r *tokenRows) merge() error {
	r.was = nil
	for i := range r.ids {
		row := r.weightRow(i)
		was, err := row.RawBytes()
		if err != nil {
			return err
		}
		r.was = append(r.was, was)
		dim := r.Rows.Value.Dim(1)
		assign(row, r.Rows.Value.View(i*dim, dim))
	}
	return nil
}

// unmerge puts the weight's own rows back.
func (r *tokenRows) unmerge() {
	for i, was := range r.was {
		row := r.weightRow(i)
		assign(row, row.Device().FromBytes(row.DType(), was, row.Shape()...))
	}
	r.was = nil
}

// weightRow is the weight's row of a token, in place.
func (r *tokenRows) weightRow(i int) *tensor.Tensor {
	w := r.base.Weight.Value
	return w.View(int(r.ids[i])*w.Dim(1), w.Dim(1))
}

// Tokens are the ids of the tokens whose rows train, by the name of the module: "model.embed_tokens" and "lm_head".
// The rows of an embedding that is the head are the head's as well.
func (a *Adapter) Tokens() map[string][]int32 {
	all := map[string][]int32{}
	for _, r := range a.tokens {
		all[r.name] = slices.Clone(r.ids)
	}
	return all
}

// findTokens gives the rows that the configuration names in a model, without any memory yet. slots are those that its
// targets choose.
func findTokens(model Model, slots []slot, cfg Config, extras []*extra) (found []*tokenRows, err error) {
	ids, err := parseTokens(cfg.Tokens)
	if err != nil {
		return nil, err
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("multilora: field tokens: "+format, args...)
	}
	if ids[headModule] != nil && tiedHead(model) != nil {
		return nil, fail("want those of embed_tokens alone beside a model whose head is its embedding, got some of lm_head")
	}
	for _, s := range anySlots(model) {
		tokens := ids[s.name]
		if s.beside == nil || tokens == nil {
			continue
		}
		if slices.ContainsFunc(slots, func(other slot) bool { return other.name == s.name }) ||
			slices.ContainsFunc(extras, func(e *extra) bool { return e.param == s.base.Weight }) {
			return nil, fail("want none of %s, which has modules beside it or trains in full", s.name)
		}
		w := s.base.Weight.Value
		for _, id := range tokens {
			if int(id) >= w.Dim(0) {
				return nil, fail("want tokens of the model's, below %d, got %d of %s", w.Dim(0), id, s.name)
			}
		}
		found = append(found, &tokenRows{slot: s, ids: tokens})
		delete(ids, s.name)
	}
	for _, name := range []string{embeddingModule, headModule} {
		if ids[name] != nil {
			return nil, fail("want a language model with %s, got a %T", name, model)
		}
	}
	return found, nil
}

// tokenForms is how Config.Tokens spells what trains.
const tokenForms = "token ids as 5 or 5-9, with lm_head: before them for rows of the head"

// parseTokens gives the ids that Config.Tokens spells, by the names of their modules.
func parseTokens(entries []string) (map[string][]int32, error) {
	ids := map[string][]int32{}
	seen := map[string]map[int32]bool{embeddingModule: {}, headModule: {}}
	for _, entry := range entries {
		module, numbers := embeddingModule, entry
		if name, rest, ok := strings.Cut(entry, ":"); ok {
			if numbers = rest; name == headModule {
				module = headModule
			} else if !endsIn(embeddingModule, name) {
				numbers = ""
			}
		}
		from, to, isRange := strings.Cut(numbers, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 31)
		last, err2 := strconv.ParseUint(to, 10, 31)
		if err != nil || err2 != nil || last < first || last-first >= maxRank || len(ids[module]) >= maxRank {
			return nil, fmt.Errorf("multilora: field tokens: want %s, at most %d, got %s", tokenForms, maxRank, quoted(entry))
		}
		for id := int32(first); id <= int32(last); id++ {
			if seen[module][id] {
				return nil, fmt.Errorf("multilora: field tokens: want each token once, got %d of %s again", id, lastPart(module))
			}
			seen[module][id] = true
			ids[module] = append(ids[module], id)
		}
	}
	return ids, nil
}

// spelledTokens is the inverse of parseTokens for one module.
func spelledTokens(module string, ids []int32) (entries []string) {
	before := ""
	if module == headModule {
		before = headModule + ":"
	}
	for i := 0; i < len(ids); {
		n := 1
		for i+n < len(ids) && ids[i+n] == ids[i]+int32(n) {
			n++
		}
		entry := fmt.Sprintf("%s%d", before, ids[i])
		if n > 1 {
			entry += fmt.Sprintf("-%d", ids[i+n-1])
		}
		entries = append(entries, entry)
		i += n
	}
	return entries
}
