package data

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// separators stand between the columns of a table, by the ending of its name.
var separators = map[string]rune{".csv": ',', ".tsv": '\t'}

// separatorOf is that of a file that is a table; not ok if it is none.
func separatorOf(path string) (rune, bool) {
	s, ok := separators[strings.ToLower(filepath.Ext(unpackedName(path)))]
	return s, ok
}

// readTable reads a table as RFC 4180 has it: a line that names the columns, then a row a record. Each is a row
// of strings, which goes the way of one of JSON, so that columns are fields.
func readTable(r *bufio.Reader, separator rune, rows rowReader, skip func(error), add func(Row) error) error {
	table := csv.NewReader(r) // every record must have as many columns as the first
	table.Comma, table.ReuseRecord = separator, true
	header, err := table.Read()
	if err != nil {
		return fmt.Errorf("want a line with the names of columns, got: %w", noEOF(err))
	}
	names := slices.Clone(header)
	if err := checkColumns(names); err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	for number := 1; ; number++ {
		record, err := table.Read()
		if err == io.EOF && number == 1 {
			return errors.New("want rows, got the names of columns alone")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err // it names the line
		}
		line, _ := table.FieldPos(0)
		raw, err := recordJSON(names, record)
		if err == nil {
			err = rows.visit(number, raw, add)
		}
		if err == nil {
			continue
		}
		bad, ok := errors.AsType[badRow](err)
		if ok {
			err = bad.error
		}
		if err = fmt.Errorf("row %d (line %d): %w", number, line, err); !ok || skip == nil {
			return err
		}
		skip(err)
	}
}

// checkColumns makes sure that every column has a name of its own. A first one without a name is the number of
// the row, as programs write it that save a table with its index.
func checkColumns(names []string) error {
	for i, name := range names {
		switch {
		case !utf8.ValidString(name):
			return errors.New("want names of columns in UTF-8, got other bytes")
		case name == "" && i == 0 && !slices.Contains(names, "index"):
			names[i] = "index"
		case name == "":
			return fmt.Errorf("want a name of column %d, got none", i+1)
		case slices.Contains(names[:i], name):
			return fmt.Errorf("want a column %.40q once, got it again", name)
		}
	}
	return nil
}

// recordJSON is a record as a row of JSON: strings, but for a weight, which is a number.
func recordJSON(names, record []string) ([]byte, error) {
	b := []byte{'{'}
	for i, text := range record {
		switch {
		case !utf8.ValidString(text):
			return nil, badRow{fmt.Errorf("%q: want text in UTF-8, got other bytes", names[i])}
		case len(b)+len(text) > maxRow:
			return nil, badRow{fmt.Errorf("want at most %d bytes, got more", maxRow)}
		}
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, quoted(names[i])...), ": "...)
		if _, err := strconv.ParseUint(text, 10, 8); err == nil && names[i] == "weight" {
			b = append(b, text...)
		} else {
			b = append(b, quoted(text)...)
		}
	}
	return append(b, '}'), nil
}
