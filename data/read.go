package data

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/agora-ml/agora/internal/stream"
)

// byteOrderMark is what some programs, above all on Windows, put before UTF-8 text.
const byteOrderMark = "\ufeff"

// ReadOptions say what the rows of files are.
type ReadOptions struct {
	Format Format // "": FormatAuto
	// Ignore names fields of rows and of messages that are passed over whatever they hold.
	// A field that no form knows is an error otherwise, unless it plainly is an id or a
	// source, or empty.
	Ignore []string
	// Fields are names that fields of rows and of their messages have, by the names that the forms know:
	// {"prompt": "question", "completion": "answer"}.
	Fields map[string]string
	// MaxBytes is the most bytes of all files together, unpacked, with 256 more for each row;
	// 0: a quarter of the memory that is left, and then no packed file may unpack to more than 200
	// times its size.
	MaxBytes int
	// Skip is told of each bad row, which then is passed over: an error with file, row and line.
	// nil: the first one ends the reading. What is wrong with a file as a whole always does.
	Skip func(error)
	// HeldOutSplit is the split of the data's folders whose rows are read beside those to train on, and are HeldOut; see
	// SplitFiles. "": none.
	HeldOutSplit string
	// PassedOver is told of each file, or folder, that is of another split or configuration than what is
	// read of a folder; nil: nobody is.
	PassedOver func(path string)
}

// Read gives the rows of files, folders and patterns of files (see Files), one file after the other, and what
// became of their fields.
// A file is a JSON array of rows, JSONL (a row a line), a table (.csv, .tsv), or a document of text, each of which
// may be packed as .gz or .zst; or Parquet (.parquet) or Arrow (.arrow). Under FormatAuto the files may be of different
// formats. A file may be a pipe, also /dev/stdin, unless it is of columns.
//
// Names are case-sensitive, and one that comes twice in an object is an error, as is text
// that is not UTF-8.
//
// When ctx ends, Read returns its error, also while it waits for a pipe.
func Read(ctx context.Context, files []string, o ReadOptions) ([]Row, []Field, error) {
	format := cmp.Or(o.Format, FormatAuto)
	if err := format.Validate(); err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	if err := validateFields(o.Fields); err != nil {
		return nil, nil, fmt.Errorf("data: fields: %w", err)
	}
	var rows []Row
	var fields fieldCounts
	b := newBudget(o.MaxBytes)
	all, err := listAll(files, o.HeldOutSplit)
	if err != nil {
		return nil, nil, err
	}
	if o.PassedOver != nil {
		for _, path := range all.others {
			o.PassedOver(path)
		}
	}
	for i, path := range slices.Concat(all.files, all.heldOut) {
		from, whole := len(rows), ofFile(path, format)
		add := func(row Row) error {
			rows = append(rows, row)
			return b.take(rowCost)
		}
		reader := rowReader{format: format, ignore: o.Ignore, names: o.Fields, counts: &fields}
		if columnReaderOf(path) != nil {
			err = readColumns(ctx, path, b, reader, o.skip(path), add)
		} else {
			err = open(ctx, path, whole != nil && whole.format == FormatText, b, func(r *bufio.Reader) error {
				if whole != nil {
					return whole.read(r, add)
				}
				if separator, ok := separatorOf(path); ok {
					return readTable(r, separator, reader, o.skip(path), add)
				}
				return readRows(r, reader, o.skip(path), add)
			})
		}
		if err != nil {
			return nil, nil, fmt.Errorf("data: %s: %w", path, err)
		}
		for j := range rows[from:] {
			rows[from+j].Source.File, rows[from+j].HeldOut = path, i >= len(all.files)
		}
	}
	return rows, byForm(fields.all), nil
}

// skip is Skip for the rows of a file; nil if there is none.
func (o ReadOptions) skip(path string) func(error) {
	if o.Skip == nil {
		return nil
	}
	return func(err error) { o.Skip(fmt.Errorf("%s: %w", path, err)) }
}

// open reads a file, unpacked, from behind its byte order mark.
func open(ctx context.Context, path string, document bool, b *budget, read func(*bufio.Reader) error) error {
	f, err := stream.Open(ctx, path)
	if e, ok := errors.AsType[*fs.PathError](err); ok { // the caller names the file
		return e.Err
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := &spending{r: f, b: b}
	if unpack := unpackerOf(path); unpack == nil {
		if err := b.admits(f, document); err != nil {
			return err
		}
	} else {
		packed := &counter{Reader: f}
		unpacked, err := unpack(packed)
		if err != nil {
			return err
		}
		defer unpacked.Close()
		r.r, r.packed = unpacked, &packed.n
	}
	return read(behindMark(r))
}

func behindMark(r io.Reader) *bufio.Reader {
	b := bufio.NewReaderSize(r, 1<<16)
	if mark, _ := b.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		_, _ = b.Discard(len(mark)) // it is in the buffer
	}
	return b
}

// readRows reads rows of JSON; under FormatAuto the first one tells the format of all.
func readRows(r *bufio.Reader, rows rowReader, skip func(error), add func(Row) error) error {
	if rows.format == FormatAuto {
		if c, err := firstByte(r); err == nil && c != '{' && c != '[' {
			head, _ := r.Peek(20)
			return fmt.Errorf("cannot tell the format: want rows of JSON, or a name that ends in %s, "+
				"got a file that begins with %q; "+
				"the format text takes any file for a document", endings(), head)
		}
	}
	return eachRow(r, skip, func(number int, raw []byte) error { return rows.visit(number, raw, add) })
}

// visit makes a Row of an object of JSON.
func (r *rowReader) visit(number int, raw []byte, add func(Row) error) error {
	o, err := r.open(raw, "", "", 0)
	if err == nil && r.format == FormatAuto {
		r.format, err = detect(o)
	}
	if err != nil {
		return badRow{err}
	}
	row, err := r.parse(o)
	if err != nil {
		return badRow{err}
	}
	row.Source.Row = number
	return add(row)
}

// firstByte is the first byte that is not white space, as far as the buffer reaches. It
// stays to be read.
func firstByte(r *bufio.Reader) (byte, error) {
	for n := 1; ; n++ {
		b, err := r.Peek(n)
		if err != nil {
			return 0, err
		}
		if !isSpace(b[n-1]) {
			return b[n-1], nil
		}
	}
}
