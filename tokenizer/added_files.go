package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

// AddedTokensFile is where older folders have the tokens that were added to a vocabulary:
// {"<token>": id}.
const AddedTokensFile = "added_tokens.json"

// addedFiles is what the files beside a vocabulary say of tokens that were added to it.
type addedFiles struct {
	tokens []filedToken // by id
	named  []filedToken // as BOS, padding and so on, whose ids no file says; in the order in which they would be added
}

// filedToken is a token, and the file and the field in it that has it.
type filedToken struct {
	addedToken
	at string
}

// AddedToken is an entry of added_tokens_decoder.
type AddedToken struct {
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	Lstrip     bool   `json:"lstrip"`
	Rstrip     bool   `json:"rstrip"`
	SingleWord bool   `json:"single_word"`
	Normalized *bool  `json:"normalized"` // absent: if it is not special
}

func (t AddedToken) withID(id int32) addedToken {
	normalized := !t.Special
	if t.Normalized != nil {
		normalized = *t.Normalized
	}
	return addedToken{id, t.Content, t.Special, t.Lstrip, t.Rstrip, t.SingleWord, normalized}
}

// readAdded gathers the tokens of tokenizer_config.json's added_tokens_decoder, of
// added_tokens.json and of the names of special tokens. As in transformers, tokens of
// added_tokens.json are special if a name is given to them; where both files list tokens they
// must agree.
func readAdded(dir string, files []*Config) (*addedFiles, error) {
	a := &addedFiles{}
	names := namedTokens(files)
	decoder := map[int32]filedToken{}
	for _, c := range files {
		if filepath.Base(c.Path) != ConfigFile {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(c.AddedTokens)) {
			at := fmt.Sprintf("%s: added_tokens_decoder[%.20q]", c.Path, key)
			id, err := strconv.ParseInt(key, 10, 32)
			if err != nil || id < 0 || strconv.FormatInt(id, 10) != key {
				return nil, fmt.Errorf("%s: want an id", at)
			}
			t := filedToken{c.AddedTokens[key].withID(int32(id)), at}
			if err := t.check(at); err != nil {
				return nil, err
			}
			decoder[t.ID] = t
		}
	}
	listed, err := readAddedTokensFile(filepath.Join(dir, AddedTokensFile))
	if err != nil {
		return nil, err
	}
	for _, t := range listed {
		other, ok := decoder[t.ID]
		switch {
		case ok && other.Content != t.Content:
			return nil, fmt.Errorf("%s: want %.40q, which %s has, got id %d for %.40q", t.at, other.Content, other.at,
				t.ID,
				t.Content)
		case !ok && len(decoder) > 0:
			return nil, fmt.Errorf("%s: want the tokens of added_tokens_decoder in %s, got id %d for %.40q", t.at,
				filepath.Join(dir, ConfigFile), t.ID, t.Content)
		case !ok:
			t.Special = slices.ContainsFunc(names, func(n filedToken) bool { return n.Content == t.Content })
			t.Normalized = !t.Special
			a.tokens = append(a.tokens, t)
		}
	}
	a.tokens = append(a.tokens, slices.Collect(maps.Values(decoder))...)
	slices.SortFunc(a.tokens, func(x, y filedToken) int { return cmp.Compare(x.ID, y.ID) })
	seen := map[string]filedToken{}
	for i, t := range a.tokens {
		if first, ok := seen[t.Content]; ok {
			return nil, fmt.Errorf("%s: want each token once, got %.40q, which has id %d in %s", t.at, t.Content,
				first.ID,
				first.at)
		}
		if i > 0 && a.tokens[i-1].ID == t.ID {
			return nil, fmt.Errorf("%s: want each id once, got %d, which %.40q has", t.at, t.ID, a.tokens[i-1].Content)
		}
		seen[t.Content] = t
	}
	for _, n := range names {
		n.Normalized = false
		if _, ok := seen[n.Content]; !ok {
			a.named = append(a.named, n)
		}
	}
	return a, nil
}

func readAddedTokensFile(path string) (list []filedToken, err error) {
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	members, err := strictjson.Members(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, m := range members {
		t := filedToken{addedToken{Content: m.Name}, path}
		if err := strictjson.Unmarshal(m.Value, &t.ID); err != nil || t.ID < 0 || string(m.Value) == "null" {
			return nil, fmt.Errorf("%s: %.40q: want an id, got %.40s", path, m.Name, m.Value)
		}
		if err := t.check(path); err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// namedTokens are the special tokens that tokenizer_config.json and special_tokens_map.json
// give names to, in transformers' order.
func namedTokens(files []*Config) (list []filedToken) {
	add := func(c *Config, field string, name TokenName) {
		if name != "" && !slices.ContainsFunc(list, func(t filedToken) bool { return t.Content == string(name) }) {
			list = append(list, filedToken{addedToken{Content: string(name), Special: true}, c.Path + ": " + field})
		}
	}
	for _, field := range []struct {
		name string
		of   func(*Config) *TokenName
	}{
		{"bos_token", func(c *Config) *TokenName { return c.BOSToken }},
		{"eos_token", func(c *Config) *TokenName { return c.EOSToken }},
		{"unk_token", func(c *Config) *TokenName { return c.UnknownToken }},
		{"sep_token", func(c *Config) *TokenName { return c.SeparatorToken }},
		{"pad_token", func(c *Config) *TokenName { return c.PaddingToken }},
		{"cls_token", func(c *Config) *TokenName { return c.ClassToken }},
		{"mask_token", func(c *Config) *TokenName { return c.MaskToken }},
	} {
		for _, c := range files {
			if name := field.of(c); name != nil && c.namesTokens() {
				add(c, field.name, *name)
				break
			}
		}
	}
	for _, c := range files {
		for _, name := range c.MoreTokens {
			if c.namesTokens() {
				add(c, "additional_special_tokens", name)
			}
		}
	}
	return list
}

// namesTokens: a model's configuration may have such fields, too, but says nothing by them.
func (c *Config) namesTokens() bool {
	name := filepath.Base(c.Path)
	return name == ConfigFile || name == SpecialTokensFile
}

// vocabulary is what tokens are added to.
type vocabulary interface {
	nameOf(id int32) string // "": none
	idOf(name string) (int32, bool)
	size() int // the id that the next new token gets
}

// resolve gives the tokens that the files declare their ids in a vocabulary: those that it
// has, with the flags that the files say, and new ones behind the last. An id that the
// vocabulary gives to another token, or a token that has another id there, is an error, and so
// is an id that transformers would not give. Tokens that are named only are special, and
// otherwise as they are.
func (a *addedFiles) resolve(v vocabulary) (declared, named []addedToken, err error) {
	if a == nil {
		return nil, nil, nil
	}
	next := int32(v.size())
	for _, t := range a.tokens {
		if name := v.nameOf(t.ID); name != "" && name != t.Content {
			return nil, nil, fmt.Errorf("want id %d for %.40q, got it for %.40q in %s", t.ID, name, t.Content, t.at)
		}
		switch id, ok := v.idOf(t.Content); {
		case ok && id != t.ID:
			return nil, nil, fmt.Errorf("want id %d for %.40q, got %d in %s", id, t.Content, t.ID, t.at)
		case !ok && t.ID != next:
			return nil, nil, fmt.Errorf("want id %d, the next that is free, for the added token %.40q, got %d in %s",
				next,
				t.Content, t.ID, t.at)
		case !ok:
			next++
		}
		declared = append(declared, t.addedToken)
	}
	for _, t := range a.named {
		id, ok := v.idOf(t.Content)
		if !ok {
			if strings.HasSuffix(t.at, ": bos_token") || strings.HasSuffix(t.at, ": eos_token") {
				continue // an error where it is asked for
			}
			id = next
			next++
		}
		t.ID = id
		named = append(named, t.addedToken)
	}
	return declared, named, nil
}
