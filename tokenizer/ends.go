package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
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
	if strictjson.Unmarshal(b, (*string)(n)) == nil {
		return nil
	}
	var object struct {
		Content string `json:"content"`
	}
	if err := strictjson.Unmarshal(b, &object); err != nil || object.Content == "" {
		return &strictjson.Error{Want: "a token or an object with its content", Got: fmt.Sprintf("%.60s", b)}
	}
	*n = TokenName(object.Content)
	return nil
}

// TokenIDs is one id or a list of them.
type TokenIDs []int32

// UnmarshalJSON implements json.Unmarshaler.
func (ids *TokenIDs) UnmarshalJSON(b []byte) error {
	var one *int32
	if strictjson.Unmarshal(b, &one) == nil {
		if one != nil {
			*ids = TokenIDs{*one}
		}
		return nil
	}
	if err := strictjson.Unmarshal(b, (*[]int32)(ids)); err != nil {
		return &strictjson.Error{Want: "a token id or a list of them", Got: fmt.Sprintf("%.60s", b)}
	}
	return nil
}

// TokenNames are tokens: a list, or an object of names that users give to them.
type TokenNames []TokenName

// UnmarshalJSON implements json.Unmarshaler.
func (n *TokenNames) UnmarshalJSON(b []byte) error {
	if strictjson.Unmarshal(b, (*[]TokenName)(n)) == nil {
		return nil
	}
	members, err := strictjson.Members(b)
	if err != nil {
		return &strictjson.Error{Want: "a list of tokens", Got: fmt.Sprintf("%.60s", b)}
	}
	*n = nil
	for _, m := range members {
		var name TokenName
		if err := name.UnmarshalJSON(m.Value); err != nil {
			return err
		}
		*n = append(*n, name)
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

	UnknownToken   *TokenName            `json:"unk_token"`
	SeparatorToken *TokenName            `json:"sep_token"`
	PaddingToken   *TokenName            `json:"pad_token"`
	ClassToken     *TokenName            `json:"cls_token"`
	MaskToken      *TokenName            `json:"mask_token"`
	MoreTokens     TokenNames            `json:"additional_special_tokens"`
	ExtraTokens    TokenNames            `json:"extra_special_tokens"` // newer files' name for these
	AddedTokens    map[string]AddedToken `json:"added_tokens_decoder"`

	Legacy         *bool `json:"legacy"`           // false: only the first text of several begins with a space
	AddPrefixSpace *bool `json:"add_prefix_space"` // whether a text does at all
}

// ReadConfig reads one of those files.
func ReadConfig(path string) (*Config, error) {
	b, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	c := &Config{Path: path}
	if err := strictjson.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.MoreTokens = append(c.MoreTokens, c.ExtraTokens...)
	return c, nil
}

// Names of the files that Load asks, the first to answer first.
const (
	ConfigFile        = "tokenizer_config.json"
	SpecialTokensFile = "special_tokens_map.json"
	generationConfig  = "generation_config.json"
	modelConfig       = "config.json"
)

// readConfigs reads those of the files that dir has.
func readConfigs(dir string, names ...string) (files []*Config, err error) {
	for _, name := range names {
		c, err := ReadConfig(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, c)
	}
	return files, nil
}

// readEnds sets BOS and EOS as the files say.
func readEnds(files []*Config, t loaded) error {
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

// endAsModel gives a tokenizer whose own files name no EOS the one that a model names, if
// that lies elsewhere. An id from there must be special here: of a vocabulary that is not the
// model's it would be any word.
func endAsModel(t loaded, path string, files []*Config, model string) error {
	if model == "" || filepath.Clean(model) == filepath.Clean(path) || slices.ContainsFunc(files, (*Config).namesEOS) {
		return nil
	}
	all, err := modelEnds(model)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(c *Config) bool { return len(c.EOSTokenID) > 0 })
	if i < 0 {
		return nil
	}
	found := all[i]
	id := found.EOSTokenID[0]
	name := t.Piece(id)
	if special, ok := t.(PartEncoder).Special(name); !ok || special != id {
		return fmt.Errorf("%s: eos_token_id: want the id of a special token of %s, got %d, there %.40q", found.Path,
			path, id,
			name)
	}
	bos, ok := t.BOS()
	if !ok {
		bos = -1
	}
	t.setEnds(bos, id)
	return nil
}

// modelEnds are the files of a model that may name its EOS, the first to be asked first.
func modelEnds(model string) ([]*Config, error) {
	info, err := regular.Stat(model)
	var c *Config
	switch {
	case errors.Is(err, fs.ErrNotExist): // a plan may have a model's name
		return nil, nil
	case err == nil && info.IsDir():
		return readConfigs(model, generationConfig, modelConfig)
	case err == nil && gguf.IsFile(model):
		c, err = ggufEnds(model)
	case err == nil:
		c, err = ReadConfig(model)
	}
	return []*Config{c}, err
}

func (c *Config) namesEOS() bool { return c.EOSToken != nil || len(c.EOSTokenID) > 0 }

// ggufEnds is what a GGUF file says of EOS.
func ggufEnds(path string) (*Config, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := &Config{Path: path}
	if _, ok := f.Value(ggufEOS); !ok {
		return c, nil
	}
	id, err := f.Int(ggufEOS)
	if err == nil && (id < 0 || id > math.MaxInt32) {
		err = fmt.Errorf("%s: %s: want an id, got %d", path, ggufEOS, id)
	}
	c.EOSTokenID = TokenIDs{int32(id)}
	return c, err
}
