// Package columns is what the readers of files of columns, parquetrows and arrowrows, have in common: what they are
// asked, and how values are written as JSON, so that rows of both go the way of all other rows.
package columns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Options say what of a file is read.
type Options struct {
	// Without names columns that are not read: what they hold is null.
	Without []string
	// Allow is asked before so many bytes are held in all, and returns an error where they are too many; nil: any
	// number.
	Allow func(bytes int) error
}

// ErrShort is of a file that ends too soon.
var ErrShort = errors.New("want more bytes, got the end")

// ReadAt fills b from a place of a file; it fails if the context is done.
func ReadAt(ctx context.Context, r io.ReaderAt, b []byte, at int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = ErrShort
	}
	return err
}

// MaxRow bounds the bytes of a row of JSON, as of rows of other files.
const MaxRow = 16 << 20

// ErrRow is of a row that is larger than MaxRow.
var ErrRow = fmt.Errorf("want at most %d bytes in a row, got more", MaxRow)

// ValueError is of a value that has no place in JSON.
type ValueError struct {
	Path string // messages[].role
	Type string // of the column
	Err  error
}

func (e *ValueError) Error() string { return fmt.Sprintf("%q of type %s: %v", e.Path, e.Type, e.Err) }
func (e *ValueError) Unwrap() error { return e.Err }

// Guarded makes an error of a panic in a decoder.
func Guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot be decoded: %v", r)
		}
	}()
	return f()
}

// Quoted is a name of a schema, which is UTF-8, in JSON.
func Quoted(name string) string {
	b, err := jsontext.AppendQuote(nil, name)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// AppendText appends a text.
func AppendText(b, text []byte) ([]byte, error) {
	out, err := jsontext.AppendQuote(b, text)
	if err != nil {
		return b, errors.New("want text in UTF-8, got other bytes")
	}
	return out, nil
}

// AppendNumber appends the shortest decimal number that is x in so many bits.
func AppendNumber(b []byte, x float64, bits int) ([]byte, error) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return b, fmt.Errorf("want a finite number, got %v", x)
	}
	return strconv.AppendFloat(b, x, 'g', -1, bits), nil
}

// AppendDate appends the date so many days after 1970-01-01.
func AppendDate(b []byte, days int64) []byte {
	t := time.Unix(0, 0).UTC().AddDate(0, 0, int(days))
	return append(t.AppendFormat(append(b, '"'), time.DateOnly), '"')
}

// AppendTimestamp appends the time so many units after the begin of 1970, UTC.
func AppendTimestamp(b []byte, units int64, unit time.Duration) []byte {
	second := int64(time.Second / unit)
	t := time.Unix(units/second, units%second*int64(unit)).UTC()
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}
