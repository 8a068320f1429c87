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

// TokenName is a token in a configuration: its spelling, or an object with it.
type TokenName string

// UnmarshalJSON implements json.Unmarshaler.
func (n *TokenName) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, (*string)(n)) == nil {
		return nil
	}
	var object struct{ Content string }
	if err := json.Unmarshal(b, &object); err != nil || object.Content == "" {
		return fmt.Errorf("want a token or an object with its content, got %.60s", b)
	}
	*n = TokenName(object.Content)
	return nil
}

// TokenIDs is one id or a list of them.
type TokenIDs []int32

// UnmarshalJSON implements json.Unmarshaler.
func (ids *TokenIDs) UnmarshalJSON(b []byte) error {
	var one *int32
	if json.Unmarshal(b, &one) == nil {
		if one != nil {
			*ids = TokenIDs{*one}
		}
		return nil
	}
	if err := json.Unmarshal(b, (*[]int32)(ids)); err != nil {
		return fmt.Errorf("want a token id or a list of them, got %.60s", b)
	}
	return nil
}

// Config is what tokenizer_config.json and the files beside it say of a tokenizer.
type Config struct {
	Path         string          `json:"-"`
	BOSToken     *TokenName      `json:"bos_token"`
	EOSToken     *TokenName      `json:"eos_token"`
	AddBOSToken  *bool           `json:"add_bos_token"`
	EOSTokenID   TokenIDs        `json:"eos_token_id"`
	ChatTemplate json.RawMessage `json:"chat_template"`
	AddedTokens  map[string]struct {
		Content string
	} `json:"added_tokens_decoder"`
}

// ReadConfig reads one of those files.
func ReadConfig(path string) (*Config, error) {
	b, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	c := &Config{Path: path}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Names of the files that Load asks, the first to answer first.
const (
	ConfigFile        = "tokenizer_config.json"
	SpecialTokensFile = "special_tokens_map.json"
	generationConfig  = "generation_config.json"
	modelConfig       = "config.json"
)

// readEnds sets BOS and EOS as the files in dir say.
func readEnds(dir string, t loaded) error {
	var files []*Config
	for _, name := range []string{ConfigFile, SpecialTokensFile, generationConfig, modelConfig} {
		c, err := ReadConfig(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		files = append(files, c)
	}
	if ranks, ok := t.(*BPE); ok && ranks.merges == nil {
		ranks.rename(addedNames(files))
	}
	bos, err := chooseBOS(files, t)
	if err != nil {
		return err
	}
	eos, err := chooseEOS(files, t)
	if err != nil {
		return err
	}
	t.setEnds(bos, eos)
	return nil
}

func chooseBOS(files []*Config, t loaded) (int32, error) {
	own := int32(-1)
	if id, ok := t.BOS(); ok {
		own = id
	}
	var token, add *Config
	for _, c := range files {
		if c.BOSToken != nil && token == nil {
			token = c
		}
		if c.AddBOSToken != nil && add == nil {
			add = c
		}
	}
	file, isBPE := t.(*BPE)
	hasTemplate := isBPE && file.merges != nil // tokenizer.json says itself what stands in front
	switch {
	case add != nil && !*add.AddBOSToken:
		return -1, nil
	case token != nil && (add != nil || !hasTemplate):
		return token.lookUp(t, "bos_token", *token.BOSToken)
	case add != nil && own < 0:
		return 0, fmt.Errorf("%s: add_bos_token: want a bos_token with it, got none", add.Path)
	}
	return own, nil
}

func chooseEOS(files []*Config, t loaded) (int32, error) {
	for _, c := range files {
		if c.EOSToken != nil {
			return c.lookUp(t, "eos_token", *c.EOSToken)
		}
		if len(c.EOSTokenID) > 0 {
			id := c.EOSTokenID[0]
			if id < 0 || int(id) >= t.VocabSize() {
				return 0, fmt.Errorf("%s: eos_token_id: want an id below %d, got %d", c.Path, t.VocabSize(), id)
			}
			return id, nil
		}
	}
	if id, ok := t.EOS(); ok {
		return id, nil
	}
	return -1, nil
}

func (c *Config) lookUp(t loaded, field string, name TokenName) (int32, error) {
	id, ok := t.find(string(name))
	if !ok {
		return 0, fmt.Errorf("%s: %s: want a token of the vocabulary, got %.40q", c.Path, field, name)
	}
	return id, nil
}

// addedNames are the tokens of added_tokens_decoder by id.
func addedNames(files []*Config) map[int32]string {
	names := map[int32]string{}
	for _, c := range files {
		for key, token := range c.AddedTokens {
			if id, err := strconv.ParseInt(key, 10, 32); err == nil {
				names[int32(id)] = token.Content
			}
		}
	}
	return names
}
