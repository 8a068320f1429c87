package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/agora-ml/agora/internal/parquetrows"
	"github.com/agora-ml/agora/internal/stream"
)

// isParquet reports whether a file is one by its name.
func isParquet(path string) bool {
	return strings.EqualFold(filepath.Ext(unpackedName(path)), ".parquet")
}

// readParquet reads a Parquet file, whose rows go the way of those of JSON: columns are fields.
func readParquet(ctx context.Context, path string, b *budget, rows rowReader, skip func(error),
	add func(Row) error) error {
	if unpackerOf(path) != nil {
		return errors.New("want a Parquet file as it is, whose columns are packed, got one that is packed as a whole")
	}
	f, err := stream.Open(ctx, path)
	if e, ok := errors.AsType[*fs.PathError](err); ok { // the caller names the file
		return e.Err
	}
	if err != nil {
		return err
	}
	defer f.Close()
	file, ok := f.(interface {
		io.ReaderAt
		Stat() (fs.FileInfo, error)
	})
	if !ok {
		return errors.New("want a Parquet file, which is read from its end, got a pipe")
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	o := parquetrows.Options{Allow: b.allows}
	for _, name := range rows.ignore {
		if !rows.standsForAnother(name) {
			o.Without = append(o.Without, name)
		}
	}
	return parquetrows.Read(ctx, file, info.Size(), o, func(number int, object []byte, bad error) error {
		err := b.take(len(object))
		switch {
		case err != nil:
			return err
		case bad != nil:
			err = badRow{unreadable(bad)}
		default:
			err = rows.visit(number, object, add)
		}
		if err == nil {
			return nil
		}
		wrong, ok := errors.AsType[badRow](err)
		if ok {
			err = wrong.error
		}
		if err = fmt.Errorf("row %d: %w", number, err); !ok || skip == nil {
			return err
		}
		skip(err)
		return nil
	})
}

// unreadable says how a column is passed over of which a value cannot be read.
func unreadable(err error) error {
	if e, ok := errors.AsType[*parquetrows.ValueError](err); ok && !strings.Contains(e.Path, "[]") {
		column, _, _ := strings.Cut(e.Path, ".")
		return fmt.Errorf("%w; --ignore-fields %s passes over it", err, column)
	}
	return err
}
