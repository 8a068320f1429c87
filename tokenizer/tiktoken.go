package tokenizer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// parseTiktoken reads LLaMA-3's tokenizer.model: a line for each token, its bytes in
// base64 and its rank, which is its id. The file says nothing else: how words are cut
// and which special tokens follow are as in LLaMA 3's own reader.
func parseTiktoken(b []byte, beside *addedFiles) (*BPE, error) {
	t := &BPE{byteLevel: true, ignoreMerges: true, cut: llama3Pattern, ids: map[string]int32{}, unk: -1, bos: -1, eos: -1}
	for line := 1; len(b) > 0; line++ {
		row := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			row, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		token, id, err := rankLine(bytes.TrimSuffix(row, []byte{'\r'}))
		if err != nil {
			return nil, fmt.Errorf("not a list of ranks: line %d: %w", line, err)
		}
		if id != len(t.surface) {
			return nil, fmt.Errorf("line %d: want the ranks in order, here %d, got %d", line, len(t.surface), id)
		}
		if _, ok := t.ids[token]; ok {
			return nil, fmt.Errorf("line %d: want each token once, got %.40q again", line, token)
		}
		t.ids[token] = int32(id)
		t.surface = append(t.surface, token)
		t.names = append(t.names, toLetters(token))
	}
	for i := range t.byteIDs {
		id, ok := t.ids[string([]byte{byte(i)})]
		if !ok {
			return nil, fmt.Errorf("not a list of ranks: want all 256 bytes, got none for %#02x in %d tokens", i,
				len(t.surface))
		}
		t.byteIDs[i] = id
	}
	t.preTokenizers = []preTokenizer{func(text string, _ bool, word func(string)) {
		p := pattern{word: knownPatterns[llama3Pattern]}
		p.each(text, func(from, to int) { word(text[from:to]) })
	}}
	special := llama3Special(len(t.names))
	beside.rename(special)
	declared, named, err := beside.resolve(newBPEVocabulary(t.spellings(), special,
		slices.Concat(t.names, contents(special))))
	if err != nil {
		return nil, err
	}
	special = replaceAdded(special, declared, named)
	t.setAdded(special)
	for _, a := range special {
		t.names = append(t.names, a.Content)
		surface := ""
		if !a.Special {
			surface = a.Content
		}
		t.surface = append(t.surface, surface)
	}
	t.head = t.surface
	t.bos, t.eos = special[0].ID, special[1].ID
	return t, nil
}

// rename gives reserved tokens the names that later versions have for their ids.
func (a *addedFiles) rename(special []addedToken) {
	if a == nil {
		return
	}
	for _, t := range a.tokens {
		i := int(t.ID - special[0].ID)
		if i >= 0 && i < len(special) && strings.HasPrefix(special[i].Content, "<|reserved_special_token_") {
			special[i] = t.addedToken
		}
	}
}

// spellings are the ids by what the vocabulary calls them.
func (t *BPE) spellings() map[string]int32 {
	ids := make(map[string]int32, len(t.names))
	for id, name := range t.names {
		ids[name] = int32(id)
	}
	return ids
}

func contents(tokens []addedToken) []string {
	list := make([]string, len(tokens))
	for i, t := range tokens {
		list[i] = t.Content
	}
	return list
}

// isTiktoken recognizes the file by its first line.
func isTiktoken(b []byte) bool {
	row, _, _ := bytes.Cut(b, []byte{'\n'})
	_, _, err := rankLine(bytes.TrimSuffix(row, []byte{'\r'}))
	return err == nil
}

func rankLine(row []byte) (token string, id int, err error) {
	text, number, ok := bytes.Cut(row, []byte{' '})
	if ok {
		var raw []byte
		raw, err = base64.StdEncoding.DecodeString(string(text))
		token = string(raw)
	}
	if ok && err == nil {
		id, err = strconv.Atoi(string(number))
	}
	if !ok || err != nil || token == "" || id < 0 || id >= 1<<24 {
		return "", 0, fmt.Errorf("want base64, a space and a rank below %d, got %.40q", 1<<24, row)
	}
	return token, id, nil
}

// llama3Special lists the 256 special tokens of LLaMA 3, of which the first has id
// first. Later versions gave names to reserved ones but kept these ids.
func llama3Special(first int) []addedToken {
	names := []string{
		"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
		"<|reserved_special_token_2|>", "<|reserved_special_token_3|>", "<|start_header_id|>", "<|end_header_id|>",
		"<|reserved_special_token_4|>", "<|eot_id|>",
	}
	for i := 5; len(names) < 256; i++ {
		names = append(names, fmt.Sprintf("<|reserved_special_token_%d|>", i))
	}
	tokens := make([]addedToken, len(names))
	for i, name := range names {
		tokens[i] = addedToken{ID: int32(first + i), Content: name, Special: true}
	}
	return tokens
}
