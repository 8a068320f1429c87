package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxRow bounds the bytes of one row, and so what one row of a hostile file can hold.
const maxRow = 16 << 20

// badRow is an error that concerns one row alone: those behind it can still be read.
type badRow struct{ error }

func (e badRow) Unwrap() error { return e.error }

// eachRow cuts rows of JSON out of a stream: an array of objects, or objects one after
// the other (JSONL). Rows are numbered from 1. An error of visit is reported with its line
// if it is a fault, else with the row's.
//
// With skip, which is told of them, bad rows are passed over: those that visit says are bad, and
// where every row is a line, lines that are no whole object.
func eachRow(r *bufio.Reader, skip func(error), visit func(number int, raw []byte) error) error {
	s := rowScanner{r: r, line: 1}
	c, err := s.skipSpace()
	if err == io.EOF {
		return errors.New("want rows, got an empty file")
	}
	array, byLine := c == '[', false
	if array {
		if c, err = s.skipSpace(); c == ']' {
			return s.end()
		}
	}
	for row := 1; ; row++ {
		at := s.line
		if err == nil && c != '{' && byLine {
			err = s.badLine(fmt.Errorf("want {, got %q", c))
		} else if err == nil && c != '{' {
			err = fmt.Errorf("want {, got %q", c)
		}
		var raw []byte
		if err == nil && byLine {
			raw, err = s.lineObject()
		} else if err == nil {
			raw, err = s.object()
			byLine = skip != nil && !array && at == s.line
		}
		if err == nil {
			err = visit(row, raw)
			if f, ok := errors.AsType[*fault](err); ok {
				at += bytes.Count(raw[:min(f.offset, len(raw))], []byte("\n"))
			}
		}
		if err != nil {
			bad, ok := errors.AsType[badRow](err)
			if ok {
				err = bad.error
			}
			err = fmt.Errorf("row %d (line %d): %w", row, at, noEOF(err))
			if !ok || skip == nil {
				return err
			}
			skip(err)
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
		if err != nil || !isSpace(c) {
			return c, err
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// object reads to the brace that closes the one just read. What stands between is
// left to package strictjson.
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

// lineObject reads to the end of the line of the brace just read.
func (s *rowScanner) lineObject() ([]byte, error) {
	b := []byte{'{'}
	for {
		c, err := s.readByte()
		if err == io.EOF || c == '\n' {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		if len(b) == maxRow {
			return nil, s.badLine(fmt.Errorf("want at most %d bytes, got more", maxRow))
		}
		b = append(b, c)
	}
}

// badLine passes over what is left of a line, whose fault err is.
func (s *rowScanner) badLine(err error) error {
	for {
		c, readErr := s.readByte()
		switch {
		case readErr != nil && readErr != io.EOF:
			return readErr
		case readErr == io.EOF || c == '\n':
			return badRow{err}
		}
	}
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
