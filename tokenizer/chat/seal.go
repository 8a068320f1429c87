package chat

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agora-ml/agora/tokenizer"
)

// seal makes the special tokens that messages spell unrecognisable while a template
// handles them: the first character of each becomes one that Unicode keeps free for
// internal use, and is put back behind the template.
type seal struct {
	tok   tokenizer.PartEncoder
	free  []rune // noncharacters that stand in no message
	stand map[rune]rune
}

func newSeal(tok tokenizer.PartEncoder, messages []Message) *seal {
	s := &seal{tok: tok, stand: map[rune]rune{}}
	for r := rune(0xfdd0); r <= 0xfdef; r++ {
		used := false
		for _, m := range messages {
			used = used || strings.ContainsRune(m.Role, r) || strings.ContainsRune(m.Content, r)
		}
		if !used {
			s.free = append(s.free, r)
		}
	}
	return s
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

func (s *seal) open(text string) string {
	for first, stand := range s.stand {
		text = strings.ReplaceAll(text, string(stand), string(first))
	}
	return text
}
