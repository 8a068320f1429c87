// Package eval measures what a model has learned.
package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// Perplexity is how well a model predicts a text.
type Perplexity struct {
	NLL        float64 `json:"nll"`        // mean negative log-likelihood of a counted token, in nats
	Perplexity float64 `json:"perplexity"` // e^NLL
	Counted    int     `json:"counted"`    // tokens that were predicted
	Windows    int     `json:"windows"`
}

// TextOptions say how a text is measured.
type TextOptions struct {
	Window        int                     // tokens of a window, BOS included; 0: the model's length
	SpecialTokens tokenizer.SpecialTokens // what those that the text spells become; "": letters
	Progress      func(done, windows int) // told how many of the windows are done; may be nil
}

// MeasurePerplexity reads text in windows of that many tokens. Each starts with BOS and goes on where
// the one before has ended, so each token of the text counts once. With a tokenizer that has no BOS,
// the token before stands in its place, and the text's first does not count.
//
// An id that the model has no embedding for is an error before anything is computed.
func MeasurePerplexity(
	ctx context.Context, m *llama.Model, tok tokenizer.Tokenizer, text string, o TextOptions,
) (Perplexity, error) {
	tensor.NotNil("eval.MeasurePerplexity", "a context", ctx)
	tensor.NotNil("eval.MeasurePerplexity", "a model", m)
	tensor.NotNil("eval.MeasurePerplexity", "a tokenizer", tok)
	window := o.Window
	if window == 0 {
		window = m.Config.MaxPositions
	}
	if window < 2 || window > m.Config.Context() {
		return Perplexity{}, fmt.Errorf("eval: windows of %d tokens: want 2 to the model's %d positions",
			window, m.Config.Context())
	}
	if err := o.SpecialTokens.Validate(); err != nil {
		return Perplexity{}, fmt.Errorf("eval: %w", err)
	}
	if at := badByte(text); at >= 0 {
		return Perplexity{}, fmt.Errorf("eval: line %d: want text in UTF-8, got other bytes",
			1+strings.Count(text[:at], "\n"))
	}
	ids, begins, _ := tokenizer.EncodeText(tok, text, o.SpecialTokens)
	if begins { // the first window has it
		ids = ids[1:]
	}
	windows := split(tok, ids, window)
	if len(windows) == 0 {
		return Perplexity{}, errors.New("eval: the text has no token to count")
	}
	for _, ids := range windows {
		if err := tokenizer.CheckIDs(tok, ids, m.Config.Vocab); err != nil {
			return Perplexity{}, fmt.Errorf("eval: %w", err)
		}
	}
	p := Perplexity{Windows: len(windows)}
	sum := 0.0
	for i, ids := range windows {
		if err := ctx.Err(); err != nil {
			return Perplexity{}, err
		}
		nll, err := negativeLogLikelihood(m, ids)
		if err != nil {
			return Perplexity{}, fmt.Errorf("eval: window %d: %w", i, err)
		}
		sum += nll
		p.Counted += len(ids) - 1
		if o.Progress != nil {
			o.Progress(i+1, len(windows))
		}
	}
	p.NLL = sum / float64(p.Counted)
	p.Perplexity = math.Exp(p.NLL)
	if math.IsNaN(p.NLL) || math.IsInf(p.NLL, 0) {
		return Perplexity{}, fmt.Errorf(
			"eval: the model gives a likelihood of e^%v: its weights or the storage type are broken", -p.NLL)
	}
	return p, nil
}

// badByte is where text is not UTF-8, -1 if it is: tokenizers would put U+FFFD there.
func badByte(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

// split cuts ids into windows. The first token of each is not counted: it is BOS, or the
// last of the window before.
func split(tok tokenizer.Tokenizer, ids []int32, window int) (windows [][]int32) {
	bos, ok := tok.BOS()
	if !ok {
		for len(ids) > 1 {
			n := min(window, len(ids))
			windows, ids = append(windows, ids[:n]), ids[n-1:]
		}
		return windows
	}
	for len(ids) > 0 {
		n := min(window-1, len(ids))
		windows, ids = append(windows, append([]int32{bos}, ids[:n]...)), ids[n:]
	}
	return windows
}

// negativeLogLikelihood is that of all ids but the first, in nats.
func negativeLogLikelihood(m *llama.Model, ids []int32) (float64, error) {
	labels := append(append([]int32{}, ids[1:]...), ops.IgnoreLabel)
	b := llama.NewBatch([][]int32{ids}, [][]int32{labels})
	scope := m.Device().Scope()
	defer scope.Close()
	// The mean keeps its digits in float32; the sum over a long text is made in float64.
	var mean *tensor.Tensor
	if err := tensor.Catch(func() { mean = m.Loss(b, b.Counted()).Tensor() }); err != nil {
		return 0, err
	}
	loss, err := mean.Float64s()
	if err != nil {
		return 0, err
	}
	return loss[0] * float64(b.Counted()), nil
}
