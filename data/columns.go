package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/agora-ml/agora/internal/arrowrows"
	"github.com/agora-ml/agora/internal/columns"
	"github.com/agora-ml/agora/internal/parquetrows"
	"github.com/agora-ml/agora/internal/stream"
)

// columnReader reads files of columns of one form.
type columnReader struct {
	name string
	read func(ctx context.Context, r io.ReaderAt, size int64, o columns.Options,
		visit func(row int, object []byte, bad error) error) error
}

// columnReaders are those of names with such endings.
var columnReaders = map[string]*columnReader{
	".parquet": {"a Parquet", parquetrows.Read},
	".arrow":   {"an Arrow", arrowrows.Read}, // of save_to_disk, and in the cache of Hugging Face's datasets
	".arrows":  {"an Arrow", arrowrows.Read},
	".feather": {"an Arrow", arrowrows.Read},
}

// columnReaderOf is what reads a file of columns; nil: it is none.
func columnReaderOf(path string) *columnReader {
	return columnReaders[strings.ToLower(filepath.Ext(unpackedName(path)))]
}

// readColumns reads a file of columns, whose rows go the way of those of JSON: columns are fields.
func readColumns(ctx context.Context, path string, b *budget, rows rowReader, skip func(error),
	add func(Row) error) error {
	reader := columnReaderOf(path)
	if unpackerOf(path) != nil {
		return fmt.Errorf("want %s file as it is, whose columns are packed, got one that is packed as a whole", reader.name)
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
		return fmt.Errorf("want %s file, which is read in places, got a pipe", reader.name)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	o := columns.Options{Allow: b.allows}
	for _, name := range rows.ignore {
		if !rows.standsForAnother(name) {
			o.Without = append(o.Without, name)
		}
	}
	return reader.read(ctx, file, info.Size(), o, func(number int, object []byte, bad error) error {
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
	if e, ok := errors.AsType[*columns.ValueError](err); ok && !strings.Contains(e.Path, "[]") {
		column, _, _ := strings.Cut(e.Path, ".")
		return fmt.Errorf("%w; --ignore-fields %s passes over it", err, column)
	}
	return err
}
