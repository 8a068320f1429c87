// Package arrowrows reads the rows of Apache Arrow's files, in the stream's form and in the file's, as objects of
// JSON: one record batch after the other, of which only the columns that are asked for are held. The format is
// https://arrow.apache.org/docs/format/Columnar.html; numbers of messages, types and fields are those of Message.fbs
// and Schema.fbs.
//
// What stands before the values of a batch is read by google/flatbuffers. Whatever a file says of its sizes is
// compared with what there is before anything is made of that size, and a panic in the decoders becomes an error.
package arrowrows

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/agora-ml/agora/internal/columns"
)

// Read visits the rows of a file, which has that size. Each is an object of JSON with a field a column, good until
// visit returns; or what is wrong with it alone. Rows are numbered from 1. An error of visit ends the reading and is
// returned as it is; errors of the file name the record batch and the column.
func Read(ctx context.Context, r io.ReaderAt, size int64, o columns.Options,
	visit func(row int, object []byte, bad error) error) error {
	if o.Allow == nil {
		o.Allow = func(int) error { return nil }
	}
	f := &file{ctx: ctx, r: r, end: size, allow: o.Allow, dictionaries: map[int64]*dictionary{},
		encoded: map[int64]*field{}}
	if err := columns.Guarded(func() error { return f.open(o.Without) }); err != nil {
		return err
	}
	row := 0
	for {
		var b *batch
		err := columns.Guarded(func() (err error) {
			b, err = f.next()
			return err
		})
		if err != nil {
			return fmt.Errorf("record batch %d: %w", f.batches, err)
		}
		if b == nil {
			return nil
		}
		w := &writer{}
		for i := range b.rows {
			row++
			err := columns.Guarded(func() error { return w.row(f.fields, b.columns, i) })
			if err != nil && !isBad(err) {
				return fmt.Errorf("record batch %d, row %d: %w", f.batches, row, err)
			}
			if err := visit(row, w.out, err); err != nil {
				return err
			}
		}
	}
}

// isBad reports whether an error is of one row alone.
func isBad(err error) bool {
	_, value := errors.AsType[*columns.ValueError](err)
	return value || errors.Is(err, columns.ErrRow)
}

var errShort = columns.ErrShort
