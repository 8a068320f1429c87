package llama

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
)

// GGUF has one key for what ends a text, which may be the tokenizer's, and one for what ends a turn: those that the options name
// come before the rest of the configuration's, and the ids without a key are told.
func TestEndsInGGUF(t *testing.T) {
	const none = -1
	for name, c := range map[string]struct {
		tokenizer      any // its EOS; nil: it says none
		eos, turnEnds  []int32
		wantEOS, want2 int
		without        []int32
	}{
		"no end":                  {nil, nil, nil, none, none, nil},
		"one":                     {nil, []int32{1}, nil, 1, none, nil},
		"the template's alone":    {nil, nil, []int32{7}, 7, none, nil},
		"the template's":          {nil, []int32{1}, []int32{7}, 1, 7, nil},
		"of the configuration":    {uint32(1), []int32{1, 5}, []int32{1}, 1, 5, nil},
		"the template's first":    {uint32(1), []int32{1, 5}, []int32{7}, 1, 7, []int32{5}},
		"an adapter's, the third": {uint32(1), []int32{9, 1, 5}, []int32{9}, 1, 9, []int32{5}},
		"an adapter's before":     {uint32(1), []int32{9, 1}, []int32{9, 7}, 1, 9, []int32{7}},
		"a silent tokenizer":      {nil, []int32{9, 1}, []int32{9, 7}, 9, 7, []int32{1}},
		"of another type":         {int32(1), []int32{1}, []int32{7, 5, 5}, 1, 7, []int32{5}},
	} {
		var o GGUFOptions
		if o.TurnEnds = c.turnEnds; c.tokenizer != nil {
			o.Tokenizer = []gguf.KeyValue{{Key: ggufEOS, Value: c.tokenizer}}
		}
		config := Config{BOS: -1, EOS: c.eos}
		keys, _ := config.specialTokens(o)
		got := map[string]any{}
		for _, kv := range append(o.Tokenizer, keys...) {
			got[kv.Key] = kv.Value
		}
		for key, want := range map[string]int{ggufEOS: c.wantEOS, ggufEOT: c.want2} {
			var value any
			if want != none {
				value = uint32(want)
			}
			if key == ggufEOS && c.tokenizer != nil {
				value = c.tokenizer
			}
			if got[key] != value {
				t.Errorf("%s: %s is %v, want %v", name, key, got[key], value)
			}
		}
		if got := config.EndsNotInGGUF(o); !slices.Equal(got, c.without) {
			t.Errorf("%s: without a key are %v, want %v", name, got, c.without)
		}
	}
}
