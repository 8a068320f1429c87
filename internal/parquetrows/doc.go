// Package parquetrows reads the rows of Parquet files as objects of JSON, a row group after the other: of each
// column one page is held at a time. The format is https://github.com/apache/parquet-format.
//
// Values are decoded by parquet-go's packages of encodings. Its reader of files takes sizes on trust: of lists, of
// pages, of what they unpack to and of runs, and a few bytes would take all memory. Here each of them is compared
// with what there is before anything of that size is made, and a panic in the decoders becomes an error.
package parquetrows

import (
	"context"
	"fmt"
	"io"

	"github.com/agora-ml/agora/internal/columns"
)

// Read visits the rows of a file, which has that size. Each is an object of JSON with a field a column, good until
// visit returns; or what is wrong with it alone. Rows are numbered from 1. An error of visit ends the reading and is
// returned as it is; errors of the file name the row group, the column and its type.
func Read(ctx context.Context, r io.ReaderAt, size int64, o columns.Options,
	visit func(row int, object []byte, bad error) error) (err error) {
	if o.Allow == nil {
		o.Allow = func(int) error { return nil }
	}
	f := &file{ctx: ctx, r: r, size: size, allow: o.Allow}
	if err := columns.Guarded(func() error { return f.open(o.Without) }); err != nil {
		return err
	}
	row := 0
	for i := range f.meta.groups {
		group := &f.meta.groups[i]
		a, err := f.assembler(group)
		if err != nil {
			return fmt.Errorf("row group %d: %w", i+1, err)
		}
		for range group.rows {
			row++
			if err := columns.Guarded(a.row); err != nil {
				return fmt.Errorf("row group %d, row %d: %w", i+1, row, err)
			}
			if err := visit(row, a.out, a.bad); err != nil {
				return err
			}
		}
		if err := a.end(); err != nil {
			return fmt.Errorf("row group %d: %w", i+1, err)
		}
	}
	return nil
}

var errShort = columns.ErrShort
