// Package yamlfile bounds what YAML's parser is given: settings and experiments may come from
// strangers.
package yamlfile

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Bounds that no configuration comes near. The parser's memory grows with the square of how
// deep lists lie in each other (100 KB of them took 12 GB) and is some 500 times that of a flat
// text, so that depth and size are looked at before it sees them.
const (
	Most      = 256 << 10 // bytes of a file
	maxNested = 8         // lists and mappings in each other, on a line
)

// Tokens cuts a file into YAML's tokens, which is linear in its size, and refuses
// what the parser should not see. Errors begin with the line.
func Tokens(text []byte) (token.Tokens, error) {
	text, err := plainText(text)
	if err != nil {
		return nil, err
	}
	tokens := lexer.Tokenize(string(text))
	open, entries, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open = max(open-1, 0)
		case token.SequenceEntryType, token.MappingKeyType:
			entries++
		}
		if open+entries > maxNested {
			return nil, fmt.Errorf("%d: want lists at most %d deep, got a deeper one", line, maxNested)
		}
	}
	return tokens, nil
}

// plainText is a text in UTF-8 without the mark that some editors put before it, its lines
// ending as on Unix.
func plainText(text []byte) ([]byte, error) {
	for _, other := range []struct{ mark, name string }{
		{"\xff\xfe\x00\x00", "UTF-32"}, {"\x00\x00\xfe\xff", "UTF-32"}, {"\xff\xfe", "UTF-16"}, {"\xfe\xff", "UTF-16"},
	} {
		if bytes.HasPrefix(text, []byte(other.mark)) {
			return nil, fmt.Errorf("1: want text in UTF-8, got %s: save the file as UTF-8", other.name)
		}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for at := 0; at < len(text); {
		c, n := utf8.DecodeRune(text[at:])
		line := func() int { return 1 + bytes.Count(text[:at], []byte("\n")) }
		switch {
		case c == utf8.RuneError && n == 1:
			return nil, fmt.Errorf("%d: want text in UTF-8, got the byte %#02x", line(), text[at])
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c == 0x7f:
			return nil, fmt.Errorf("%d: want text, got the control character %q", line(), c)
		}
		at += n
	}
	return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), nil
}
