package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// surfaces is what a decoder makes of each token alone, and of the first of a text.
// Every decoder of the files this package reads can be told so; one that needs the
// whole text is an error.
type surfaces struct {
	text, head []string
	start      startRule
	fused      bool // what follows works on the text, not on tokens
	grown      growth
}

// readDecoder finds the surface of each name.
func readDecoder(raw json.RawMessage, names []string) (*surfaces, error) {
	if isNull(raw) {
		return nil, fmt.Errorf("decoder: want one, got null")
	}
	s := &surfaces{text: slices.Clone(names)}
	return s, sequenceOf(raw, "decoder", "decoders", s.add)
}

func (s *surfaces) add(kind, field string, raw json.RawMessage) error {
	if s.fused && kind != "Strip" {
		return fmt.Errorf("%s.type: want nothing but Strip behind Fuse, ByteLevel or Metaspace, got %.40q", field, kind)
	}
	switch kind {
	case "ByteLevel":
		s.fused = true
		s.each(func(name string) string {
			if b, ok := fromLetters(name); ok {
				return b
			}
			return name
		})
		return strict(raw, field, &byteLevel{})
	case "ByteFallback":
		s.each(func(name string) string {
			if b, ok := byteValue(name); ok {
				return string([]byte{b})
			}
			return name
		})
		return strict(raw, field, &plain{})
	case "Fuse":
		s.fused = true
		return strict(raw, field, &plain{})
	case "Replace":
		p, content, err := readReplace(raw, field, &s.grown)
		if err != nil {
			return err
		}
		s.each(func(name string) string { return p.replaceAll(name, content) })
		return nil
	case "Metaspace":
		m, err := readMetaspace(raw, field)
		if err != nil {
			return err
		}
		s.fused = true
		if m.PrependScheme != "never" {
			s.start = firstOnly
			s.head = slices.Clone(s.text)
			for i, name := range s.head {
				s.head[i] = strings.ReplaceAll(name, m.Replacement, "")
			}
		}
		s.each(func(name string) string { return strings.ReplaceAll(name, m.Replacement, " ") })
		return nil
	case "Strip":
		return s.addStrip(field, raw)
	}
	return unsupported(field, kind, "ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Strip")
}

// addStrip takes a number of one character away from the beginning and the end of each
// token, or, behind Fuse, of the text: there only one from the beginning, since a
// stream's end is not known.
func (s *surfaces) addStrip(field string, raw json.RawMessage) error {
	var strip struct {
		Type    string `json:"type"`
		Content string `json:"content"`
		Start   int    `json:"start"`
		Stop    int    `json:"stop"`
	}
	if err := strict(raw, field, &strip); err != nil {
		return err
	}
	if utf8.RuneCountInString(strip.Content) != 1 || strip.Start < 0 || strip.Stop < 0 {
		return fmt.Errorf("%s: want one character and counts, got %.60s", field, raw)
	}
	if !s.fused {
		s.each(func(name string) string {
			for n := 0; n < strip.Start && strings.HasPrefix(name, strip.Content); n++ {
				name = name[len(strip.Content):]
			}
			for n := 0; n < strip.Stop && strings.HasSuffix(name, strip.Content); n++ {
				name = name[:len(name)-len(strip.Content)]
			}
			return name
		})
		return nil
	}
	if strip.Start > 1 || strip.Stop > 0 || s.start != keepStart {
		return fmt.Errorf("%s: want one Strip of a text, start 0 or 1 and stop 0, got start %d, stop %d", field,
			strip.Start,
			strip.Stop)
	}
	if strip.Start == 1 {
		s.start = stripOne
		s.head = slices.Clone(s.text)
		for i, text := range s.head {
			s.head[i] = strings.TrimPrefix(text, strip.Content)
		}
	}
	return nil
}

func (s *surfaces) each(f func(string) string) {
	for i, text := range s.text {
		s.text[i] = f(text)
	}
}
