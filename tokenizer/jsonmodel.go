package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agora-ml/agora/internal/strictjson"
)

// jsonModel is model in tokenizer.json.
type jsonModel struct {
	Type                    *string          `json:"type"`
	Dropout                 *float64         `json:"dropout"`
	UnkToken                *string          `json:"unk_token"`
	ContinuingSubwordPrefix *string          `json:"continuing_subword_prefix"`
	EndOfWordSuffix         *string          `json:"end_of_word_suffix"`
	FuseUnk                 bool             `json:"fuse_unk"`
	ByteFallback            bool             `json:"byte_fallback"`
	IgnoreMerges            bool             `json:"ignore_merges"`
	Vocab                   map[string]int32 `json:"vocab"`
	Merges                  []jsonMerge      `json:"merges"`
}

// jsonMerge is "a b" in older files and ["a", "b"] in newer ones.
type jsonMerge [2]string

// UnmarshalJSONFrom implements json.UnmarshalerFrom: a file has some 300,000 of them.
func (m *jsonMerge) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	kind := d.PeekKind()
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	switch kind {
	case '"':
		text, err := jsontext.AppendUnquote(nil, raw)
		l, r, ok := bytes.Cut(text, []byte{' '})
		if err != nil || !ok || bytes.IndexByte(r, ' ') >= 0 {
			break
		}
		*m = jsonMerge{string(l), string(r)}
		return nil
	case '[':
		var pair []string
		if err := strictjson.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
			return &strictjson.Error{Want: "pairs of tokens", Got: fmt.Sprintf("%.60s", raw)}
		}
		*m = jsonMerge(pair)
		return nil
	}
	return &strictjson.Error{Want: "two tokens with a space between", Got: fmt.Sprintf("%.60s", raw)}
}

func readModel(raw json.RawMessage) (*jsonModel, error) {
	if isNull(raw) {
		return nil, fmt.Errorf("not a tokenizer.json: model: want one, got none")
	}
	m := &jsonModel{}
	wrong := strict(raw, "model", m)
	if wrong != nil { // first of all because it is another kind of model
		var kind struct {
			Type *string `json:"type"`
		}
		if err := strictjson.Unmarshal(raw, &kind); err != nil {
			return nil, fmt.Errorf("model: want an object, got %.60s", raw)
		}
		m.Type = kind.Type
	}
	if m.Type != nil && *m.Type != "BPE" {
		return nil, fmt.Errorf("model.type: want BPE, got %.40q", *m.Type)
	}
	if wrong != nil {
		return nil, wrong
	}
	if m.Dropout != nil && *m.Dropout != 0 {
		return nil, fmt.Errorf("model.dropout: want none, got %v", *m.Dropout)
	}
	for field, value := range map[string]*string{
		"continuing_subword_prefix": m.ContinuingSubwordPrefix, "end_of_word_suffix": m.EndOfWordSuffix,
	} {
		if value != nil && *value != "" {
			return nil, fmt.Errorf("model.%s: want none, got %.40q", field, *value)
		}
	}
	if len(m.Vocab) == 0 {
		return nil, fmt.Errorf("model.vocab: want tokens, got none")
	}
	if len(m.Merges) >= 1<<24 {
		return nil, fmt.Errorf("model.merges: want fewer than %d, got %d", 1<<24, len(m.Merges))
	}
	return m, nil
}

// setModel fills in what the merges need. No text may become a special token, so those
// have no place in ids, and a merge that makes one is left out.
func (t *BPE) setModel(m *jsonModel) error {
	t.ignoreMerges, t.fuseUnk, t.unk = m.IgnoreMerges, m.FuseUnk, -1
	if m.UnkToken != nil {
		id, ok := m.Vocab[*m.UnkToken]
		if !ok {
			return fmt.Errorf("model.unk_token: want a token of model.vocab, got %.40q", *m.UnkToken)
		}
		t.unk = id
	}
	t.ids = make(map[string]int32, len(m.Vocab))
	for name, id := range m.Vocab {
		if _, special := t.specials[name]; special {
			continue
		}
		word, ok := name, true
		if t.byteLevel {
			word, ok = fromLetters(name)
		}
		if ok && word != "" {
			t.ids[word] = id
		}
	}
	if err := t.setBytes(m); err != nil {
		return err
	}
	return t.setMerges(m)
}

// setBytes finds the tokens of single bytes.
func (t *BPE) setBytes(m *jsonModel) error {
	missing := 0
	for b := range t.byteIDs {
		var ok bool
		switch {
		case t.byteLevel:
			t.byteIDs[b], ok = t.ids[string([]byte{byte(b)})]
		case m.ByteFallback:
			t.byteIDs[b], ok = m.Vocab[byteName(byte(b))]
		}
		if !ok {
			t.byteIDs[b] = -1
			missing++
		}
	}
	if t.byteLevel && m.ByteFallback && missing > 0 {
		return fmt.Errorf("model.byte_fallback: want false, or all 256 bytes of ByteLevel in model.vocab, got true and"+
			" %d missing", missing)
	}
	return nil
}

func (t *BPE) setMerges(m *jsonModel) error {
	t.merges = make(map[[2]int32]merge, len(m.Merges))
	cuts := new([256][256]bool)
	for i := range cuts {
		for j := range cuts[i] {
			cuts[i][j] = true
		}
	}
	sure := !t.byteLevel && t.hasBytes(allBytes)
	for rank, pair := range m.Merges {
		l, lok := m.Vocab[pair[0]]
		r, rok := m.Vocab[pair[1]]
		id, ok := m.Vocab[pair[0]+pair[1]]
		if !lok || !rok || !ok || pair[0] == "" || pair[1] == "" {
			return fmt.Errorf("model.merges[%d]: want tokens of model.vocab that make a third, got %.40q and %.40q",
				rank,
				pair[0], pair[1])
		}
		if t.skipped[id] {
			continue
		}
		t.merges[[2]int32{l, r}] = merge{int32(rank), id}
		_, lb := byteValue(pair[0])
		_, rb := byteValue(pair[1])
		sure = sure && !lb && !rb && utf8.ValidString(pair[0]) && utf8.ValidString(pair[1])
		cuts[pair[0][len(pair[0])-1]][pair[1][0]] = false
	}
	if sure {
		t.cuts = cuts
	}
	return nil
}

var allBytes = func() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}()

// byteName is <0x0A>.
func byteName(b byte) string { return fmt.Sprintf("<0x%02X>", b) }
