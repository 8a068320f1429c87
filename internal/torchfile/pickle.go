package torchfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
)

// pickled is what a pickle of a state dict can be here: string, int64, bool, nil, tuple, *dict, global, storage,
// tensor. Nothing else is made, and no name is looked up outside this package.
type pickled any

type (
	tuple  []pickled
	global string // module.name
	mark   struct{}
)

// dict is an object of keys in their order.
type dict struct {
	keys   []pickled
	values []pickled
}

// storage names numbers of one type in the archive.
type storage struct {
	class global
	key   string
	n     int64 // numbers
}

// view is a tensor: a storage, seen from an offset on.
type view struct {
	storage
	offset         int64
	shape, strides []int64
}

// The opcodes that a state dict needs (Python's pickletools names them so), of protocols 2 and 3.
const (
	opMark              = '('
	opStop              = '.'
	opNone              = 'N'
	opInt1              = 'K'
	opInt2              = 'M'
	opInt4              = 'J'
	opLong1             = 0x8a
	opTrue              = 0x88
	opFalse             = 0x89
	opText              = 'X'
	opGlobal            = 'c'
	opEmptyTuple        = ')'
	opTuple             = 't'
	opTuple1            = 0x85
	opTuple2            = 0x86
	opTuple3            = 0x87
	opEmptyDict         = '}'
	opSetItem           = 's'
	opSetItems          = 'u'
	opPut1              = 'q'
	opPut4              = 'r'
	opGet1              = 'h'
	opGet4              = 'j'
	opReduce            = 'R'
	opBuild             = 'b'
	opPersistentID      = 'Q'
	opProtocol          = 0x80
	mostDepth           = 1 << 12 // of the stack; dictionaries are filled by a thousand pairs
	mostItems           = 1 << 20 // of a dictionary, and of what is remembered
	lastProtocol   byte = 3
)

// machine runs a pickle.
type machine struct {
	rest  []byte
	size  int
	stack []pickled
	memo  map[uint32]pickled
}

// unpickle runs a pickle and returns what it makes.
func unpickle(text []byte) (pickled, error) {
	m := &machine{rest: text, size: len(text), memo: map[uint32]pickled{}}
	for {
		at := m.size - len(m.rest)
		op, err := m.byte()
		if err == nil && op == opStop {
			if len(m.stack) != 1 {
				return nil, fmt.Errorf("byte %d of the pickle: want one object at its end, got %d", at, len(m.stack))
			}
			return m.stack[0], nil
		}
		if err == nil {
			err = m.run(op)
		}
		if err == nil && (len(m.stack) > mostDepth || len(m.memo) > mostItems) {
			err = fmt.Errorf("want a stack of at most %d objects and %d remembered, got more", mostDepth, mostItems)
		}
		if err != nil {
			return nil, fmt.Errorf("byte %d of the pickle: %w", at, err)
		}
	}
}

func (m *machine) byte() (byte, error) {
	b, err := m.bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (m *machine) bytes(n int) ([]byte, error) {
	if n < 0 || n > len(m.rest) {
		return nil, fmt.Errorf("want %d bytes, got the end", n)
	}
	b := m.rest[:n]
	m.rest = m.rest[n:]
	return b, nil
}

// uint reads a little-endian number of so many bytes.
func (m *machine) uint(n int) (uint32, error) {
	b, err := m.bytes(n)
	if err != nil {
		return 0, err
	}
	var full [4]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint32(full[:]), nil
}

// line reads up to a line's end.
func (m *machine) line() (string, error) {
	i := bytes.IndexByte(m.rest[:min(len(m.rest), 200)], '\n')
	if i < 0 {
		return "", fmt.Errorf("want a name on a line, got none")
	}
	b, err := m.bytes(i + 1)
	return string(b[:max(len(b)-1, 0)]), err
}

func (m *machine) push(x pickled) error {
	m.stack = append(m.stack, x)
	return nil
}

func (m *machine) pop() (pickled, error) {
	if len(m.stack) == 0 {
		return nil, fmt.Errorf("want an object on the stack, got none")
	}
	x := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	if _, is := x.(mark); is {
		return nil, fmt.Errorf("want an object on the stack, got a mark")
	}
	return x, nil
}

// popMany pops so many objects.
func (m *machine) popMany(n int) (tuple, error) {
	all := make(tuple, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if all[i], err = m.pop(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// popMark pops the objects down to the last mark, and that.
func (m *machine) popMark() (tuple, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, is := m.stack[i].(mark); is {
			all := append(tuple(nil), m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return all, nil
		}
	}
	return nil, fmt.Errorf("want a mark on the stack, got none")
}

// run runs one opcode.
func (m *machine) run(op byte) error {
	switch op {
	case opProtocol:
		v, err := m.byte()
		if err == nil && v > lastProtocol {
			err = fmt.Errorf("want protocol 2 or %d, got %d", lastProtocol, v)
		}
		return err
	case opMark:
		return m.push(mark{})
	case opNone:
		return m.push(nil)
	case opTrue, opFalse:
		return m.push(op == opTrue)
	case opInt1, opInt2, opInt4, opLong1:
		return m.integer(op)
	case opText:
		n, err := m.uint(4)
		if err != nil {
			return err
		}
		b, err := m.bytes(int(n))
		if err != nil {
			return err
		}
		return m.push(string(b))
	case opGlobal:
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		return m.global(global(module + "." + name))
	case opPut1, opPut4, opGet1, opGet4:
		return m.remember(op)
	case opEmptyDict:
		return m.push(&dict{})
	case opSetItem, opSetItems:
		return m.setItems(op)
	case opPersistentID:
		return m.persistent()
	case opReduce:
		return m.reduce()
	case opBuild: // the attributes of an OrderedDict, such as _metadata
		_, err := m.popMany(1)
		return err
	}
	return m.tuple(op)
}

func (m *machine) tuple(op byte) (err error) {
	var all tuple
	switch op {
	case opEmptyTuple:
	case opTuple:
		all, err = m.popMark()
	case opTuple1, opTuple2, opTuple3:
		all, err = m.popMany(int(op) - opTuple1 + 1)
	default:
		return fmt.Errorf("want what a state dict of tensors needs, got opcode %#x", op)
	}
	if err != nil {
		return err
	}
	return m.push(all)
}

func (m *machine) integer(op byte) error {
	size := map[byte]int{opInt1: 1, opInt2: 2, opInt4: 4}[op]
	if op != opLong1 {
		n, err := m.uint(size)
		if err != nil {
			return err
		}
		if op == opInt4 {
			return m.push(int64(int32(n)))
		}
		return m.push(int64(n))
	}
	n, err := m.byte()
	if err != nil {
		return err
	}
	b, err := m.bytes(int(n))
	if err != nil {
		return err
	}
	if n > 8 {
		return fmt.Errorf("want a number of at most 8 bytes, got %d", n)
	}
	var full [8]byte
	copy(full[:], b)
	x := binary.LittleEndian.Uint64(full[:])
	if n > 0 && n < 8 && b[n-1]&0x80 != 0 { // negative
		x |= math.MaxUint64 << (8 * n)
	}
	return m.push(int64(x))
}

func (m *machine) remember(op byte) error {
	size := 1
	if op == opPut4 || op == opGet4 {
		size = 4
	}
	i, err := m.uint(size)
	if err != nil {
		return err
	}
	if op == opGet1 || op == opGet4 {
		x, ok := m.memo[i]
		if !ok {
			return fmt.Errorf("want an object that is remembered, got number %d", i)
		}
		return m.push(x)
	}
	x, err := m.pop()
	if err != nil {
		return err
	}
	m.memo[i] = x
	return m.push(x)
}

func (m *machine) setItems(op byte) (err error) {
	var items tuple
	if op == opSetItems {
		items, err = m.popMark()
	} else {
		items, err = m.popMany(2)
	}
	if err != nil {
		return err
	}
	x, err := m.pop()
	if err != nil {
		return err
	}
	d, ok := x.(*dict)
	if !ok || len(items)%2 != 0 || len(d.keys)+len(items) > mostItems {
		return fmt.Errorf("want pairs for a dictionary of at most %d, got %d objects for a %T", mostItems, len(items), x)
	}
	for i := 0; i < len(items); i += 2 {
		d.keys, d.values = append(d.keys, items[i]), append(d.values, items[i+1])
	}
	return m.push(d)
}

// The names that a state dict may refer to.
const (
	orderedDict      global = "collections.OrderedDict"
	rebuildTensor    global = "torch._utils._rebuild_tensor_v2"
	rebuildParameter global = "torch._utils._rebuild_parameter"
)

func (m *machine) global(name global) error {
	if _, ok := storageTypes[name]; ok || name == orderedDict || name == rebuildTensor || name == rebuildParameter {
		return m.push(name)
	}
	return fmt.Errorf("want names of tensors in f32, f64, f16 or bf16 alone, got %.100q", string(name))
}

// persistent makes a storage of ('storage', class, key, place, numbers).
func (m *machine) persistent() error {
	x, err := m.pop()
	if err != nil {
		return err
	}
	if t, ok := x.(tuple); ok && len(t) == 5 && t[0] == pickled("storage") {
		class, isClass := t[1].(global)
		key, isKey := t[2].(string)
		n, isNumber := t[4].(int64)
		if _, known := storageTypes[class]; isClass && known && isKey && isNumber {
			return m.push(storage{class, key, n})
		}
	}
	return fmt.Errorf("want a storage of tensors, got another object")
}

// reduce calls a name that is known.
func (m *machine) reduce() error {
	both, err := m.popMany(2)
	if err != nil {
		return err
	}
	name, _ := both[0].(global)
	in, ok := both[1].(tuple)
	switch {
	case !ok:
	case name == orderedDict && len(in) == 0:
		return m.push(&dict{})
	case name == rebuildParameter && len(in) >= 1:
		if v, ok := in[0].(view); ok {
			return m.push(v)
		}
	case name == rebuildTensor && len(in) >= 4:
		s, isStorage := in[0].(storage)
		offset, isOffset := in[1].(int64)
		shape, isShape := integers(in[2])
		strides, areStrides := integers(in[3])
		if isStorage && isOffset && isShape && areStrides && len(shape) == len(strides) {
			return m.push(view{s, offset, shape, strides})
		}
	}
	return fmt.Errorf("want tensors and dictionaries made, got a call of %.100q", string(name))
}

func integers(x pickled) ([]int64, bool) {
	t, ok := x.(tuple)
	if !ok || len(t) > 8 {
		return nil, false
	}
	all := make([]int64, len(t))
	for i, v := range t {
		if all[i], ok = v.(int64); !ok {
			return nil, false
		}
	}
	return all, true
}

// product is that of sizes; false: it is too large, or a size is negative.
func product(sizes []int64) (int64, bool) {
	p := big.NewInt(1)
	for _, n := range sizes {
		if n < 0 {
			return 0, false
		}
		p.Mul(p, big.NewInt(n))
	}
	return p.Int64(), p.IsInt64() && p.Int64() <= math.MaxInt32
}
