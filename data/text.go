package data

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDocument bounds the bytes of a file of text, and so what a hostile one can hold.
const maxDocument = 1 << 30

// parseText reads a document in a row.
func parseText(o *object) (r Row, err error) {
	if r.Text, err = o.wantText("text"); err != nil {
		return r, err
	}
	return r, o.rowWeight(&r)
}

// readDocument takes a whole file for one text. As programs that read text do, it makes
// \n of the line ends of Windows.
func readDocument(r *bufio.Reader, add func(Row) error) error {
	var text strings.Builder
	n, err := io.Copy(&text, io.LimitReader(r, maxDocument+1))
	switch {
	case err != nil:
		return noEOF(err)
	case n == 0:
		return errors.New("want text, got an empty file")
	case n > maxDocument:
		return fmt.Errorf("want at most %d bytes of text in a file, got more", maxDocument)
	}
	s := text.String()
	if !utf8.ValidString(s) {
		return fmt.Errorf("line %d: want text in UTF-8, got other bytes", lineOfBadByte(s))
	}
	return add(Row{Format: FormatText, Text: strings.ReplaceAll(s, "\r\n", "\n")})
}

func lineOfBadByte(s string) int {
	line := 1
	for l := range strings.Lines(s) {
		if !utf8.ValidString(l) {
			break
		}
		line++
	}
	return line
}
