package printable

import (
	"io"
	"unicode/utf8"
)

// Writer writes to another writer what Text would give for all that is written to it, however
// it is cut into writes.
type Writer struct {
	to   io.Writer
	rest []byte // the beginning of a rune whose end has not come yet
}

// NewWriter makes a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

func (w *Writer) Write(p []byte) (int, error) {
	text := append(w.rest, p...)
	whole := len(text) - len(unfinished(text))
	w.rest = append([]byte(nil), text[whole:]...)
	if whole == 0 {
		return len(p), nil
	}
	if _, err := w.to.Write(appendEscaped(make([]byte, 0, whole), string(text[:whole]), inText)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what there is of a rune that has no end.
func (w *Writer) Flush() error {
	rest := w.rest
	w.rest = nil
	if len(rest) == 0 {
		return nil
	}
	_, err := w.to.Write(appendEscaped(nil, string(rest), inText))
	return err
}

// unfinished is the end of text that further bytes may make a rune of.
func unfinished(text []byte) []byte {
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[i:]
			}
			break
		}
	}
	return nil
}
