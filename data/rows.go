package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxRow bounds the bytes of one row, and so what one row of a hostile file can hold.
const maxRow = 16 << 20

// byteOrderMark is what some programs, above all on Windows, put before UTF-8 text.
const byteOrderMark = "\ufeff"

// eachRow decodes the rows of a file: a JSON array of objects, or objects one after
// the other (JSONL); packed if the name ends in .gz. Errors name file, row and line.
func eachRow[T any](path string, visit func(T) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	r := io.Reader(f)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("data: %s: want gzip, got: %w", path, err)
		}
	}
	if err := decodeRows(r, visit); err != nil {
		return fmt.Errorf("data: %s: %w", path, err)
	}
	return nil
}

func decodeRows[T any](r io.Reader, visit func(T) error) error {
	s := rowScanner{r: bufio.NewReaderSize(r, 1<<16), line: 1}
	if mark, _ := s.r.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		_, _ = s.r.Discard(len(mark)) // it is in the buffer
	}
	c, err := s.skipSpace()
	if err == io.EOF {
		return errors.New("want rows, got an empty file")
	}
	array := c == '['
	if array {
		if c, err = s.skipSpace(); c == ']' {
			return s.end()
		}
	}
	for row := 1; ; row++ {
		at := s.line
		if err == nil && c != '{' {
			err = fmt.Errorf("want {, got %q", c)
		}
		var raw []byte
		if err == nil {
			raw, err = s.object()
		}
		var v T
		if err == nil {
			var line int
			line, err = unmarshal(raw, &v)
			at += line
		}
		if err == nil {
			err = visit(v)
		}
		if err != nil {
			return fmt.Errorf("row %d (line %d): %w", row, at, noEOF(err))
		}

		c, err = s.skipSpace()
		switch {
		case !array && err == io.EOF:
			return nil
		case array && err == nil && c == ']':
			return s.end()
		case array && err == nil && c == ',':
			c, err = s.skipSpace()
		case array && err == nil:
			return fmt.Errorf("behind row %d (line %d): want , or ], got %q", row, s.line, c)
		}
	}
}

// unmarshal reads one row; where it cannot, it tells the line within raw, from 0.
func unmarshal(raw []byte, v any) (line int, err error) {
	err = json.Unmarshal(raw, v)
	offset := 0
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = int(e.Offset)
		err = fmt.Errorf("%q: want a string, got %s", e.Field, e.Value)
	} else if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = int(e.Offset) - 1 // of the byte after which it gave up
	}
	return bytes.Count(raw[:min(max(offset, 0), len(raw))], []byte("\n")), err
}

// noEOF says of a file's end within a row that it is too early.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// rowScanner cuts a stream into JSON objects and counts lines.
type rowScanner struct {
	r    *bufio.Reader
	line int // of the next byte, from 1
}

func (s *rowScanner) readByte() (byte, error) {
	c, err := s.r.ReadByte()
	if c == '\n' {
		s.line++
	}
	return c, err
}

// skipSpace reads the next byte that is not white space.
func (s *rowScanner) skipSpace() (byte, error) {
	for {
		c, err := s.readByte()
		if err != nil || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, err
		}
	}
}

// object reads to the brace that closes the one just read. What stands between is
// left to encoding/json.
func (s *rowScanner) object() ([]byte, error) {
	b := []byte{'{'}
	quoted, escaped := false, false
	for depth := 1; depth > 0; {
		c, err := s.readByte()
		if err != nil {
			return nil, err
		}
		if len(b) == maxRow {
			return nil, fmt.Errorf("want at most %d bytes, got more", maxRow)
		}
		b = append(b, c)
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && c == '{':
			depth++
		case !quoted && c == '}':
			depth--
		}
	}
	return b, nil
}

// end makes sure that nothing follows the array.
func (s *rowScanner) end() error {
	if c, err := s.skipSpace(); err == nil {
		return fmt.Errorf("line %d: want nothing behind ], got %q", s.line, c)
	} else if err != io.EOF {
		return err
	}
	return nil
}
