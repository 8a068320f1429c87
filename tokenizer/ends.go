package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
)

// loaded is a tokenizer whose BOS and EOS a folder's files may change.
type loaded interface {
	Tokenizer
	find(name string) (int32, bool)
	setEnds(bos, eos int32) // -1: none
}

func (t *SentencePiece) setEnds(bos, eos int32) { t.bos, t.eos = bos, eos }
func (t *BPE) setEnds(bos, eos int32)           { t.bos, t.eos = bos, eos }

func (t *SentencePiece) find(name string) (int32, bool) {
	for id, p := range t.pieces {
		if p.text == name {
			return int32(id), true
		}
	}
	return 0, false
}

func (t *BPE) find(name string) (int32, bool) {
	for id, n := range t.names {
		if n == name && n != "" {
			return int32(id), true
		}
	}
	return 0, false
}

// tokenName is a token in a configuration: its spelling, or an object with it.
type tokenName string

// UnmarshalJSON implements json.Unmarshaler.
func (n *tokenName) UnmarshalJSON(b []byte) error {
	var object struct{ Content string }
	if json.Unmarshal(b, (*string)(n)) == nil {
		return nil
	}
	if err := json.Unmarshal(b, &object); err != nil || object.Content == "" {
		return fmt.Errorf("want a token or an object with its content, got %.60s", b)
	}
	*n = tokenName(object.Content)
	return nil
}

// tokenIDs is one id or a list of them.
type tokenIDs []int32

// UnmarshalJSON implements json.Unmarshaler.
func (ids *tokenIDs) UnmarshalJSON(b []byte) error {
	var one *int32
	if json.Unmarshal(b, &one) == nil {
		if one != nil {
			*ids = tokenIDs{*one}
		}
		return nil
	}
	if err := json.Unmarshal(b, (*[]int32)(ids)); err != nil {
		return fmt.Errorf("want a token id or a list of them, got %.60s", b)
	}
	return nil
}

// endsFile is what tokenizer_config.json and the files beside it say of BOS and EOS.
type endsFile struct {
	name        string
	BOSToken    *tokenName `json:"bos_token"`
	EOSToken    *tokenName `json:"eos_token"`
	AddBOSToken *bool      `json:"add_bos_token"`
	EOSTokenID  tokenIDs   `json:"eos_token_id"`
	AddedTokens map[string]struct {
		Content string
	} `json:"added_tokens_decoder"`
}

// Names of the files that Load asks, the first to answer first.
const (
	ConfigFile       = "tokenizer_config.json"
	specialTokensMap = "special_tokens_map.json"
	generationConfig = "generation_config.json"
	modelConfig      = "config.json"
)

// readEnds sets BOS and EOS as the files in dir say.
func readEnds(dir string, t loaded) error {
	var files []endsFile
	for _, name := range []string{ConfigFile, specialTokensMap, generationConfig, modelConfig} {
		f := endsFile{name: filepath.Join(dir, name)}
		b, err := readBounded(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(b, &f)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		files = append(files, f)
	}
	ranks, isRanks := t.(*BPE)
	isRanks = isRanks && ranks.merges == nil
	bos, eos := int32(-1), int32(-1)
	if id, ok := t.BOS(); ok {
		bos = id
	}
	if id, ok := t.EOS(); ok {
		eos = id
	}
	_, fromJSON := t.(*BPE)
	fromJSON = fromJSON && !isRanks
	if isRanks {
		ranks.rename(addedNames(files))
	}
	var add *bool
	bosSet, eosSet := false, false
	for _, f := range files {
		if f.AddBOSToken != nil && add == nil {
			add = f.AddBOSToken
		}
		if f.BOSToken != nil && !bosSet && (!fromJSON || add != nil && *add) {
			id, err := f.lookUp(t, "bos_token", *f.BOSToken)
			if err != nil {
				return err
			}
			bos, bosSet = id, true
		}
		if f.EOSToken != nil && !eosSet {
			id, err := f.lookUp(t, "eos_token", *f.EOSToken)
			if err != nil {
				return err
			}
			eos, eosSet = id, true
		}
		if len(f.EOSTokenID) > 0 && !eosSet {
			eos, eosSet = f.EOSTokenID[0], true
			if eos < 0 || int(eos) >= t.VocabSize() {
				return fmt.Errorf("%s: eos_token_id: want an id below %d, got %d", f.name, t.VocabSize(), eos)
			}
		}
	}
	switch {
	case add != nil && !*add:
		bos = -1
	case add != nil && bos < 0:
		return fmt.Errorf("%s: add_bos_token: want a bos_token with it, got none", files[0].name)
	}
	t.setEnds(bos, eos)
	return nil
}

func (f *endsFile) lookUp(t loaded, field string, name tokenName) (int32, error) {
	id, ok := t.find(string(name))
	if !ok {
		return 0, fmt.Errorf("%s: %s: want a token of the vocabulary, got %.40q", f.name, field, name)
	}
	return id, nil
}

// addedNames are the tokens of added_tokens_decoder by id.
func addedNames(files []endsFile) map[int32]string {
	names := map[int32]string{}
	for _, f := range files {
		for key, token := range f.AddedTokens {
			if id, err := strconv.ParseInt(key, 10, 32); err == nil {
				names[int32(id)] = token.Content
			}
		}
	}
	return names
}
