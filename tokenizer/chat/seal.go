package chat

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agora-ml/agora/internal/jinja"
	"github.com/agora-ml/agora/tokenizer"
)

// seal makes the special tokens that messages spell unrecognizable while a template
// handles them: the first character of each becomes one that Unicode keeps free for
// internal use, and is put back behind the template.
type seal struct {
	tok   tokenizer.PartEncoder
	free  []rune // noncharacters that stand in no message
	stand map[rune]rune
}

func newSeal(tok tokenizer.PartEncoder, values jinja.Value) *seal {
	s := &seal{tok: tok, stand: map[rune]rune{}}
	used := map[rune]bool{}
	eachText(values, func(text string) {
		for _, r := range text {
			if 0xfdd0 <= r && r <= 0xfdef {
				used[r] = true
			}
		}
	})
	for r := rune(0xfdd0); r <= 0xfdef; r++ {
		if !used[r] {
			s.free = append(s.free, r)
		}
	}
	return s
}

// eachText visits all text in a value.
func eachText(v jinja.Value, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case *jinja.List:
		for _, i := range v.Items {
			eachText(i, visit)
		}
	case *jinja.Dict:
		for _, e := range v.Entries() {
			eachText(e.Key, visit)
			eachText(e.Value, visit)
		}
	}
}

// value closes all text in a value, and keeps the order of what it holds.
func (s *seal) value(v jinja.Value) (jinja.Value, error) {
	switch v := v.(type) {
	case string:
		return s.close(v)
	case *jinja.List:
		out := &jinja.List{Items: make([]jinja.Value, len(v.Items))}
		for i, item := range v.Items {
			var err error
			if out.Items[i], err = s.value(item); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *jinja.Dict:
		out := &jinja.Dict{}
		for _, e := range v.Entries() {
			name, err := s.close(e.Key.(string))
			if err != nil {
				return nil, err
			}
			value, err := s.value(e.Value)
			if err != nil {
				return nil, err
			}
			out.Set(name, value)
		}
		return out, nil
	}
	return v, nil
}

func (s *seal) close(text string) (string, error) {
	var out strings.Builder
	for _, p := range s.tok.SplitSpecial(text) {
		at := strings.Index(text, p.Text) // before it are only spaces that belong to a token
		out.WriteString(text[:at])
		text = text[at:]
		n := 0
		if p.Special {
			var first rune
			first, n = utf8.DecodeRuneInString(p.Text)
			if _, ok := s.stand[first]; !ok {
				if len(s.free) == 0 {
					return "", fmt.Errorf("want a message without all of the noncharacters from U+FDD0 to U+FDEF in it")
				}
				s.stand[first], s.free = s.free[0], s.free[1:]
			}
			out.WriteRune(s.stand[first])
		}
		out.WriteString(p.Text[n:])
		text = text[len(p.Text):]
	}
	return out.String() + text, nil
}

// originals are what the noncharacters stand for.
func (s *seal) originals() map[rune]rune {
	all := make(map[rune]rune, len(s.stand))
	for first, stand := range s.stand {
		all[stand] = first
	}
	return all
}

func (s *seal) open(text string) string {
	for first, stand := range s.stand {
		text = strings.ReplaceAll(text, string(stand), string(first))
	}
	return text
}
