package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/agora-ml/agora/internal/fileerror"
)

// KeyValue is one entry of the metadata. The Go type of Value is the type in the file:
// uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64, bool or
// string; a slice of one of these; or []any, an array of arrays, which are slices again.
type KeyValue struct {
	Key   string
	Value any
}

// The numbers of the value types in a file.
const (
	typeString = 8
	typeArray  = 9
)

// scalars are the value types of fixed size.
var scalars = map[uint32]struct {
	size   int
	decode func(b []byte, array bool) any
}{
	0:  {1, fixed[uint8]},
	1:  {1, fixed[int8]},
	2:  {2, fixed[uint16]},
	3:  {2, fixed[int16]},
	4:  {4, fixed[uint32]},
	5:  {4, fixed[int32]},
	6:  {4, fixed[float32]},
	7:  {1, fixed[bool]},
	10: {8, fixed[uint64]},
	11: {8, fixed[int64]},
	12: {8, fixed[float64]},
}

const typeBool = 7

// fixed reads one T or a slice of them.
func fixed[T any](b []byte, array bool) any {
	var one T
	v := make([]T, len(b)/binary.Size(one))
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		panic(err) // v is exactly as long as b
	}
	if array {
		return v
	}
	return v[0]
}

// typeOf is the number of v's type, and of its elements' if that is an array; false if
// v is of no type that a file can hold.
func typeOf(v any) (typ, element uint32, ok bool) {
	switch v.(type) {
	case uint8:
		return 0, 0, true
	case int8:
		return 1, 0, true
	case uint16:
		return 2, 0, true
	case int16:
		return 3, 0, true
	case uint32:
		return 4, 0, true
	case int32:
		return 5, 0, true
	case float32:
		return 6, 0, true
	case bool:
		return typeBool, 0, true
	case string:
		return typeString, 0, true
	case uint64:
		return 10, 0, true
	case int64:
		return 11, 0, true
	case float64:
		return 12, 0, true
	case []uint8:
		return typeArray, 0, true
	case []int8:
		return typeArray, 1, true
	case []uint16:
		return typeArray, 2, true
	case []int16:
		return typeArray, 3, true
	case []uint32:
		return typeArray, 4, true
	case []int32:
		return typeArray, 5, true
	case []float32:
		return typeArray, 6, true
	case []bool:
		return typeArray, typeBool, true
	case []string:
		return typeArray, typeString, true
	case []any:
		return typeArray, typeArray, true
	case []uint64:
		return typeArray, 10, true
	case []int64:
		return typeArray, 11, true
	case []float64:
		return typeArray, 12, true
	}
	return 0, 0, false
}

// Get is the metadata value of a key, which must be there and be of type T.
func Get[T any](f *File, key string) (T, error) {
	v, _ := f.Value(key)
	t, ok := v.(T)
	if !ok {
		return t, &Error{File: f.path, Key: key, Want: fmt.Sprintf("a value of type %T", t), Got: Describe(v)}
	}
	return t, nil
}

// Int is the metadata value of a key, of any integer type.
func (f *File) Int(key string) (int, error) {
	v, ok := f.Value(key)
	var n int64
	switch v := v.(type) {
	case uint8:
		n = int64(v)
	case int8:
		n = int64(v)
	case uint16:
		n = int64(v)
	case int16:
		n = int64(v)
	case uint32:
		n = int64(v)
	case int32:
		n = int64(v)
	case int64:
		n = v
	case uint64:
		if ok = v <= math.MaxInt64; ok {
			n = int64(v)
		}
	default:
		ok = false
	}
	if !ok || int64(int(n)) != n {
		return 0, &Error{File: f.path, Key: key, Want: "an integer", Got: Describe(v)}
	}
	return int(n), nil
}

// Float is the metadata value of a key, float32 or float64.
func (f *File) Float(key string) (float64, error) {
	v, _ := f.Value(key)
	switch v := v.(type) {
	case float32:
		return float64(v), nil
	case float64:
		return v, nil
	}
	return 0, &Error{File: f.path, Key: key, Want: "a number of type float32 or float64", Got: Describe(v)}
}

// Describe says in a few words what a metadata value is, for errors.
func Describe(v any) string {
	if s, ok := v.(string); ok {
		return "the string " + fileerror.Quote(s)
	}
	switch typ, _, _ := typeOf(v); {
	case v == nil:
		return "none"
	case typ == typeArray:
		return fmt.Sprintf("an array, %T", v)
	}
	return fmt.Sprintf("%T %v", v, v)
}
