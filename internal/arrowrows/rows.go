package arrowrows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/agora-ml/agora/internal/columns"
	"github.com/agora-ml/agora/internal/half"
)

// writer writes rows as JSON.
type writer struct{ out []byte }

// row writes row i of a batch. A *columns.ValueError or columns.ErrRow is of this row alone.
func (w *writer) row(fields []*field, values []*array, i int) error {
	w.out = append(w.out[:0], '{')
	for c, column := range fields {
		w.name(column, c)
		if column.absent {
			w.out = append(w.out, "null"...)
		} else if err := w.value(values[c], i); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

// name writes that of field number c of an object.
func (w *writer) name(n *field, c int) {
	if c > 0 {
		w.out = append(w.out, ", "...)
	}
	w.out = append(w.out, n.key...)
}

// value writes value i of an array.
func (w *writer) value(a *array, i int) error {
	if len(w.out) > columns.MaxRow {
		return columns.ErrRow
	}
	switch {
	case i < 0 || i >= a.n:
		return fmt.Errorf("%q: want a value of %d, got number %d", a.path, a.n, i)
	case a.valid != nil && a.valid[i/8]>>(i%8)&1 == 0:
		w.out = append(w.out, "null"...)
		return nil
	case a.dictionary != nil:
		return w.encoded(a, i)
	case a.write == nil:
		return a.bad(errors.New("want text, numbers, true or false, dates or timestamps, or null, got a value of another " +
			"type"))
	}
	return a.write(w, a, i)
}

// bad is what is wrong with a value.
func (a *array) bad(err error) error {
	return &columns.ValueError{Path: a.path, Type: a.kind.String(), Err: err}
}

// encoded writes the value that one of a dictionary stands for.
func (w *writer) encoded(a *array, i int) error {
	place := a.number(a.data, i)
	if a.values == nil {
		return fmt.Errorf("%q: want a dictionary before its places, got none", a.path)
	}
	rest := place
	for _, chunk := range a.values.chunks {
		if rest >= 0 && rest < int64(chunk.n) {
			return w.value(chunk, int(rest))
		}
		rest -= int64(chunk.n)
	}
	return fmt.Errorf("%q: want places in a dictionary, got %d", a.path, place)
}

// number is whole number i of those in b, which may be places; an unsigned one of 64 bits may be below 0.
func (a *array) number(b []byte, i int) int64 {
	var u uint64
	switch a.bits {
	case 8:
		u = uint64(b[i])
	case 16:
		u = uint64(binary.LittleEndian.Uint16(b[2*i:]))
	case 32:
		u = uint64(binary.LittleEndian.Uint32(b[4*i:]))
	default:
		u = binary.LittleEndian.Uint64(b[8*i:])
	}
	if a.signed {
		return int64(u) << (64 - a.bits) >> (64 - a.bits)
	}
	return int64(u)
}

func (w *writer) null(*array, int) error {
	w.out = append(w.out, "null"...)
	return nil
}

func (w *writer) integer(a *array, i int) error {
	if n := a.number(a.data, i); a.signed {
		w.out = strconv.AppendInt(w.out, n, 10)
	} else {
		w.out = strconv.AppendUint(w.out, uint64(n), 10)
	}
	return nil
}

func (w *writer) float(a *array, i int) (err error) {
	var x float64
	bits := max(a.bits, 32)
	switch a.bits {
	case 16:
		x = float64(half.FromF16(binary.LittleEndian.Uint16(a.data[2*i:])))
	case 32:
		x = float64(math.Float32frombits(binary.LittleEndian.Uint32(a.data[4*i:])))
	default:
		x = math.Float64frombits(binary.LittleEndian.Uint64(a.data[8*i:]))
	}
	if w.out, err = columns.AppendNumber(w.out, x, bits); err != nil {
		return a.bad(err)
	}
	return nil
}

func (w *writer) flag(a *array, i int) error {
	w.out = strconv.AppendBool(w.out, a.data[i/8]>>(i%8)&1 != 0)
	return nil
}

func (w *writer) date(a *array, i int) error {
	days := a.number(a.data, i)
	if a.bits == 64 {
		const day = 24 * 60 * 60 * 1000
		days = (days - (days%day+day)%day) / day
	}
	w.out = columns.AppendDate(w.out, days)
	return nil
}

func (w *writer) timestamp(a *array, i int) error {
	w.out = columns.AppendTimestamp(w.out, a.number(a.data, i), a.unit)
	return nil
}

// span is where text or list i begins and ends.
func (a *array) span(i int) (from, to int, err error) {
	most := int64(len(a.data))
	if len(a.inner) > 0 {
		most = int64(a.inner[0].n)
	}
	begin, end := int64(i)*int64(a.length), int64(i+1)*int64(a.length)
	if a.kind != kindFixedList {
		begin, end = a.number(a.places, i), a.number(a.places, i+1)
	}
	if begin < 0 || end < begin || end > most {
		return 0, 0, fmt.Errorf("%q: want places within %d, got %d to %d", a.path, most, begin, end)
	}
	return int(begin), int(end), nil
}

func (w *writer) text(a *array, i int) error {
	from, to, err := a.span(i)
	if err != nil {
		return err
	}
	return w.letters(a, a.data[from:to])
}

// view writes a text of which a few letters stand where it is told that there is one, and longer ones elsewhere.
func (w *writer) view(a *array, i int) error {
	v := a.data[16*i : 16*i+16]
	n := int64(int32(binary.LittleEndian.Uint32(v)))
	if n >= 0 && n <= 12 {
		return w.letters(a, v[4:4+n])
	}
	part, from := int64(int32(binary.LittleEndian.Uint32(v[8:]))), int64(int32(binary.LittleEndian.Uint32(v[12:])))
	if n < 0 || part < 0 || part >= int64(len(a.parts)) || from < 0 || from+n > int64(len(a.parts[part])) {
		return fmt.Errorf("%q: want letters within %d buffers, got %d at %d in number %d", a.path, len(a.parts), n, from,
			part)
	}
	return w.letters(a, a.parts[part][from:from+n])
}

func (w *writer) letters(a *array, text []byte) (err error) {
	if len(w.out)+len(text) > columns.MaxRow {
		return columns.ErrRow
	}
	if w.out, err = columns.AppendText(w.out, text); err != nil {
		return a.bad(err)
	}
	return nil
}

func (w *writer) list(a *array, i int) error {
	from, to, err := a.span(i)
	if err != nil {
		return err
	}
	w.out = append(w.out, '[')
	for j := from; j < to; j++ {
		if j > from {
			w.out = append(w.out, ", "...)
		}
		if err := w.value(a.inner[0], j); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}

func (w *writer) structure(a *array, i int) error {
	w.out = append(w.out, '{')
	for c, inner := range a.inner {
		w.name(inner.field, c)
		if err := w.value(inner, i); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

// mapping writes keys and values as an object.
func (w *writer) mapping(a *array, i int) error {
	from, to, err := a.span(i)
	if err != nil {
		return err
	}
	w.out = append(w.out, '{')
	pairs := a.inner[0]
	for j := from; j < to; j++ {
		if j > from {
			w.out = append(w.out, ", "...)
		}
		begin := len(w.out)
		if err := w.value(pairs.inner[0], j); err != nil {
			return err
		}
		if w.out[begin] != '"' {
			return a.bad(errors.New("want texts as keys of a map, got others"))
		}
		w.out = append(w.out, ": "...)
		if err := w.value(pairs.inner[1], j); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}
