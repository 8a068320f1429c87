package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/internal/strictjson"
)

// jsonFile is tokenizer.json. truncation and padding are left aside: they belong to
// batches, not to a text.
type jsonFile struct {
	AddedTokens   []json.RawMessage `json:"added_tokens"`
	Normalizer    json.RawMessage   `json:"normalizer"`
	PreTokenizer  json.RawMessage   `json:"pre_tokenizer"`
	Model         json.RawMessage   `json:"model"`
	PostProcessor json.RawMessage   `json:"post_processor"`
	Decoder       json.RawMessage   `json:"decoder"`
}

// ParseJSON reads the content of a tokenizer.json whose model is BPE. BOS is what its
// post-processor puts in front of a text, EOS what it puts behind.
func ParseJSON(b []byte) (*BPE, error) { return readJSON(b, nil) }

func readJSON(b []byte, beside *addedFiles) (*BPE, error) {
	var f jsonFile
	if err := strictjson.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	t := &BPE{bos: -1, eos: -1}
	var err error
	if t.normalizers, err = readNormalizer(f.Normalizer); err != nil {
		return nil, err
	}
	if t.preTokenizers, t.byteLevel, err = readPreTokenizer(f.PreTokenizer); err != nil {
		return nil, err
	}
	if t.byteLevel {
		t.cut = cutOf(f.PreTokenizer)
	}
	m, err := readModel(f.Model)
	if err != nil {
		return nil, err
	}
	added, err := readAddedTokens(f.AddedTokens)
	if err != nil {
		return nil, err
	}
	if t.names, err = nameIDs(m.Vocab, added); err != nil {
		return nil, err
	}
	declared, named, err := beside.resolve(newBPEVocabulary(m.Vocab, added, t.names))
	if err != nil {
		return nil, err
	}
	if len(declared)+len(named) > 0 {
		added = replaceAdded(added, declared, named)
		if t.names, err = nameIDs(m.Vocab, added); err != nil {
			return nil, err
		}
	}
	t.setAdded(added)
	if err := t.setModel(m); err != nil {
		return nil, err
	}
	found := slices.Clone(t.names)
	for _, a := range added {
		if a.Normalized {
			found[a.ID] = t.normalizers.apply(a.Content) // with the space in front that a normalizer may put there
		}
	}
	s, err := readDecoder(f.Decoder, found)
	if err != nil {
		return nil, err
	}
	t.surface, t.head, t.start = s.text, s.head, s.start
	return t, t.readPostProcessor(f.PostProcessor)
}

func readAddedTokens(raw []json.RawMessage) ([]addedToken, error) {
	tokens := make([]addedToken, len(raw))
	for i := range raw {
		field := fmt.Sprintf("added_tokens[%d]", i)
		if err := strict(raw[i], field, &tokens[i]); err != nil {
			return nil, err
		}
		if err := tokens[i].check(field); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// bpeVocabulary is that of a tokenizer.json.
type bpeVocabulary struct {
	model, added map[string]int32
	names        []string
}

func newBPEVocabulary(model map[string]int32, added []addedToken, names []string) *bpeVocabulary {
	v := &bpeVocabulary{model, make(map[string]int32, len(added)), names}
	for _, a := range added {
		v.added[a.Content] = a.ID
	}
	return v
}

func (v *bpeVocabulary) size() int { return len(v.names) }

func (v *bpeVocabulary) nameOf(id int32) string {
	if int(id) >= len(v.names) {
		return ""
	}
	return v.names[id]
}

func (v *bpeVocabulary) idOf(name string) (int32, bool) {
	id, ok := v.added[name]
	if !ok {
		id, ok = v.model[name]
	}
	return id, ok
}

// replaceAdded puts declared tokens among others, in place of those that are the same token,
// and sees to it that those that are named are special.
func replaceAdded(added, declared, named []addedToken) []addedToken {
	added = slices.Clone(added)
	places := make(map[int32]int, len(added))
	for i, a := range added {
		places[a.ID] = i
	}
	for _, d := range declared {
		if i, ok := places[d.ID]; ok {
			added[i] = d
		} else {
			added = append(added, d)
		}
	}
	for _, n := range named {
		if i, ok := places[n.ID]; ok {
			added[i].Special = true
		} else {
			added = append(added, n)
		}
	}
	return added
}

// nameIDs lists the tokens by id.
func nameIDs(vocab map[string]int32, added []addedToken) ([]string, error) {
	// A few ids may be free, but no file may ask for memory that it does not fill.
	limit := 2*(len(vocab)+len(added)) + 1024
	var names []string
	put := func(field, name string, id int32) error {
		if id < 0 || int(id) >= limit {
			return fmt.Errorf("%s: want ids from 0 to %d for so many tokens, got %d for %.40q", field, limit-1, id,
				name)
		}
		if int(id) >= len(names) {
			names = append(names, make([]string, int(id)+1-len(names))...)
		}
		if names[id] != "" && names[id] != name {
			return fmt.Errorf("%s: want each id once, got %d for %.40q and %.40q", field, id, names[id], name)
		}
		names[id] = name
		return nil
	}
	for name, id := range vocab {
		if name == "" {
			continue // no text becomes it, and it adds none
		}
		if err := put("model.vocab", name, id); err != nil {
			return nil, err
		}
	}
	for i, a := range added {
		field := fmt.Sprintf("added_tokens[%d].id", i)
		if id, ok := vocab[a.Content]; ok && id != a.ID {
			return nil, fmt.Errorf("%s: want %d, which %.40q has in model.vocab, got %d", field, id, a.Content, a.ID)
		}
		if err := put(field, a.Content, a.ID); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// setAdded sorts the added tokens by when they are looked for.
func (t *BPE) setAdded(added []addedToken) {
	t.skipped = map[int32]bool{}
	var special []addedToken
	var plain [2][]addedToken
	for _, a := range added {
		switch {
		case a.Special:
			special = append(special, a)
			t.skipped[a.ID] = true
		case a.Normalized:
			plain[1] = append(plain[1], a)
		default:
			plain[0] = append(plain[0], a)
		}
	}
	t.special, t.specials = newSpecials(special)
	t.plain[0] = newAddedSet(plain[0], func(s string) string { return s })
	t.plain[1] = newAddedSet(plain[1], t.normalizers.apply)
}

// readPostProcessor finds what stands around a text.
func (t *BPE) readPostProcessor(raw json.RawMessage) error {
	return sequenceOf(raw, "post_processor", "processors", func(kind, field string, raw json.RawMessage) error {
		switch kind {
		case "ByteLevel": // moves offsets, which nobody here asks for
			return strict(raw, field, &byteLevel{})
		case "TemplateProcessing":
			return t.readTemplate(raw, field)
		}
		return unsupported(field, kind, "ByteLevel", "TemplateProcessing")
	})
}

func (t *BPE) readTemplate(raw json.RawMessage, field string) error {
	type item struct {
		ID     string `json:"id"`
		TypeID int    `json:"type_id"`
	}
	var p struct {
		Type   string `json:"type"`
		Single []struct {
			SpecialToken *item `json:"SpecialToken"`
			Sequence     *item `json:"Sequence"`
		} `json:"single"`
		Pair          json.RawMessage `json:"pair"`
		SpecialTokens map[string]struct {
			ID     string   `json:"id"`
			IDs    []int32  `json:"ids"`
			Tokens []string `json:"tokens"`
		} `json:"special_tokens"`
	}
	if err := strict(raw, field, &p); err != nil {
		return err
	}
	sequences := 0
	var around [3][]int32 // before the text and behind it
	for i, s := range p.Single {
		switch {
		case s.Sequence != nil && s.SpecialToken == nil && s.Sequence.ID == "A" && sequences < 2:
			sequences++
		case s.SpecialToken != nil && s.Sequence == nil:
			special, ok := p.SpecialTokens[s.SpecialToken.ID]
			if !ok || slices.ContainsFunc(special.IDs, func(id int32) bool { return !t.has(id) }) {
				return fmt.Errorf("%s.single[%d]: want a token of special_tokens with ids below %d, got %.40q with %v", field, i,
					len(t.names), s.SpecialToken.ID, special.IDs)
			}
			around[sequences] = append(around[sequences], special.IDs...)
		default:
			return fmt.Errorf("%s.single[%d]: want a SpecialToken or the Sequence A", field, i)
		}
	}
	if sequences != 1 {
		return fmt.Errorf("%s.single: want the Sequence A once, got it %d times", field, sequences)
	}
	if len(around[0]) > 1 || len(around[1]) > 1 {
		return fmt.Errorf("%s.single: want at most one token before a text and one behind it, got %v and %v", field,
			around[0], around[1])
	}
	for _, id := range around[0] {
		t.bos = id
	}
	for _, id := range around[1] {
		t.eos = id
	}
	return nil
}
