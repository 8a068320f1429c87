package arrowrows

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// batch is rows, column by column.
type batch struct {
	rows    int
	columns []*array // of those that are not read nil
}

// array is the values of a field.
type array struct {
	*field
	n      int
	valid  []byte   // a bit for each value that is not null; nil: none is
	places []byte   // where texts and lists begin, and the last ends
	data   []byte   // numbers, bits or letters; of views what tells where their letters are
	parts  [][]byte // letters of views
	inner  []*array
	values *dictionary // that these are places in
}

// dictionary is values that places in it stand for.
type dictionary struct {
	chunks []*array // one after the other
	bytes  int
}

const (
	mostValues = 1 << 40 // of a batch, or bytes
	mostChunks = 1 << 10 // of a dictionary
)

// decoder takes arrays off a message, in the order of the schema's fields.
type decoder struct {
	f              *file
	m              *message
	nodes, buffers list
	views          list // how many buffers each column of views has for its letters
	codec          int  // what buffers are packed by; below 0: nothing
	bytes          int  // read
}

func (f *file) decoder(m *message, t *table) (*decoder, int, error) {
	rows := t.GetInt64Slot(slot(0), 0)
	if rows < 0 || rows > mostValues {
		return nil, 0, fmt.Errorf("want at most %d rows, got %d", int64(mostValues), rows)
	}
	d := &decoder{f: f, m: m, nodes: t.list(1), buffers: t.list(2), views: t.list(4), codec: -1}
	if packing, ok := t.table(3); ok {
		if d.codec = int(packing.GetInt8Slot(slot(0), 0)); packing.GetInt8Slot(slot(1), 0) != 0 {
			return nil, 0, errors.New("want buffers that are packed each for itself, got others")
		}
	}
	return d, int(rows), nil
}

// batch reads the columns of rows.
func (f *file) batch(m *message) (*batch, error) {
	d, rows, err := f.decoder(m, &m.header)
	if err != nil {
		return nil, err
	}
	b := &batch{rows: rows, columns: make([]*array, len(f.fields))}
	for i, column := range f.fields {
		if column.absent {
			err = d.pass(column)
		} else if b.columns[i], err = d.array(column); err == nil && b.columns[i].n != rows {
			err = fmt.Errorf("want %d values, as there are rows, got %d", rows, b.columns[i].n)
		}
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", column.name, err)
		}
	}
	if rows > 8*d.bytes { // a value is a bit at least
		return nil, fmt.Errorf("want at most %d rows in %d bytes of the columns that are read, got %d", 8*d.bytes, d.bytes,
			rows)
	}
	return b, nil
}

// readDictionary takes in values that columns are places of: new ones, or more of them.
func (f *file) readDictionary(m *message) error {
	id := m.header.GetInt64Slot(slot(0), 0)
	values, data := f.encoded[id], table{}
	if values == nil {
		return nil // no column is of it
	}
	data, ok := m.header.table(1)
	if !ok {
		return errors.New("want values, got none")
	}
	d, _, err := f.decoder(m, &data)
	if err != nil {
		return err
	}
	a, err := d.array(values)
	if err != nil {
		return err
	}
	next, old := &dictionary{[]*array{a}, d.bytes}, f.dictionaries[id]
	if old != nil && m.header.GetBoolSlot(slot(2), false) {
		if len(old.chunks) == mostChunks {
			return fmt.Errorf("want at most %d parts of it, got more", mostChunks)
		}
		next.chunks, next.bytes = append(old.chunks[:len(old.chunks):len(old.chunks)], a), old.bytes+d.bytes
	}
	if old != nil {
		f.kept -= old.bytes
	}
	f.kept += next.bytes
	f.dictionaries[id] = next
	return nil
}

// pass goes over a field.
func (d *decoder) pass(n *field) error {
	if _, _, err := d.nodes.pair(); err != nil {
		return err
	}
	buffers, err := d.buffersOf(n)
	for range buffers {
		if _, _, err := d.buffers.pair(); err != nil {
			return err
		}
	}
	for _, inner := range n.fields {
		if err == nil {
			err = d.pass(inner)
		}
	}
	return err
}

// buffersOf is how many buffers a field has in this message.
func (d *decoder) buffersOf(n *field) (int, error) {
	if n.kind != kindBinaryView && n.kind != kindTextView {
		return kinds[n.kind].buffers, nil
	}
	at, err := d.views.take(8)
	if err != nil {
		return 0, err
	}
	more := d.views.t.GetInt64(at)
	if more < 0 || more > int64(d.buffers.left) {
		return 0, fmt.Errorf("want at most %d buffers of letters, got %d", d.buffers.left, more)
	}
	return kinds[n.kind].buffers + int(more), nil
}

// array reads a field's values, and makes sure that there are as many as it says.
func (d *decoder) array(n *field) (*array, error) {
	length, nulls, err := d.nodes.pair()
	switch {
	case err != nil:
		return nil, err
	case length < 0 || length > mostValues || nulls < 0 || nulls > length:
		return nil, fmt.Errorf("want a number of values, and of nulls among them, got %d and %d", length, nulls)
	}
	a := &array{field: n, n: int(length)}
	count, err := d.buffersOf(n)
	if err != nil {
		return nil, err
	}
	for i := range count {
		if err := d.fill(a, i, nulls > 0); err != nil {
			return nil, fmt.Errorf("%q of type %s: %w", n.path, n.kind, err)
		}
	}
	if n.dictionary != nil {
		a.values = d.f.dictionaries[*n.dictionary]
	}
	for _, inner := range n.fields {
		b, err := d.array(inner)
		if err != nil {
			return nil, err
		}
		if n.kind == kindStructure && b.n < a.n || n.length > 0 && b.n/n.length < a.n {
			return nil, fmt.Errorf("%q: want values for %d of %q, got %d", inner.path, a.n, n.path, b.n)
		}
		a.inner = append(a.inner, b)
	}
	return a, nil
}

// fill reads buffer i of an array: nulls, then places and letters, or other values.
func (d *decoder) fill(a *array, i int, nulls bool) (err error) {
	if i > 0 && a.write == nil { // nobody will look at it
		_, _, err = d.buffers.pair()
		return err
	}
	b, err := d.buffer()
	if err != nil {
		return err
	}
	least := 0
	switch {
	case i == 0 && !nulls && len(b) == 0: // all are there
	case i == 0:
		a.valid, least = b, (a.n+7)/8
	case i == 1 && (len(a.fields) > 0 || kinds[a.kind].buffers == 3):
		if a.places = b; a.n > 0 {
			least = (a.n + 1) * a.bits / 8
		}
	case i == 1:
		a.data, least = b, (a.n*a.bits+7)/8
	case a.bits == 128:
		a.parts = append(a.parts, b)
	default:
		a.data = b
	}
	if len(b) < least {
		return fmt.Errorf("want %d bytes for %d values, got %d", least, a.n, len(b))
	}
	return nil
}

// buffer reads the next buffer, unpacked.
func (d *decoder) buffer() ([]byte, error) {
	at, length, err := d.buffers.pair()
	switch {
	case err != nil:
		return nil, err
	case length == 0:
		return nil, nil
	case at < 0 || length < 0 || at > d.m.length || length > d.m.length-at:
		return nil, fmt.Errorf("want a buffer within %d bytes, got %d at %d", d.m.length, length, at)
	}
	if err := d.f.hold(int(length)); err != nil {
		return nil, err
	}
	b := make([]byte, length)
	if err := d.f.read(b, d.m.from+at); err != nil {
		return nil, err
	}
	if d.codec >= 0 {
		if length < 8 {
			return nil, errShort
		}
		size := int64(binary.LittleEndian.Uint64(b))
		if b = b[8:]; size != -1 { // which is as it is
			if size < 0 || size > mostValues {
				return nil, fmt.Errorf("want a size of what is packed, got %d", size)
			}
			if err := d.f.hold(int(size)); err != nil {
				return nil, err
			}
			if b, err = unpack(d.codec, b, int(size)); err != nil {
				return nil, err
			}
			d.f.held -= int(length)
		}
	}
	d.bytes += len(b)
	return b, nil
}
