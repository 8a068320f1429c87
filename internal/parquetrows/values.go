package parquetrows

import (
	"errors"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go/format"

	"github.com/agora-ml/agora/internal/columns"
)

// values are those of a page or a dictionary, in the one list that their type has.
type values struct {
	flags   []byte // 0 or 1
	int32s  []int32
	int64s  []int64
	floats  []float32
	doubles []float64
	bytes   []byte   // of texts
	offsets []uint32 // one more than texts: text i is bytes[offsets[i]:offsets[i+1]]
}

// writer writes value i in JSON.
type writer func(b []byte, v *values, i int) ([]byte, error)

// writerOf is what writes values of a type.
func writerOf(e *element) writer {
	switch physical := e.physical; {
	case e.meaning.name == meansNull:
		return writeUnknown
	case physical == format.ByteArray && (e.meaning.name == "" || e.meaning.name == meansString):
		return writeText // old files do not say which it is
	case physical == format.Int32 && e.meaning.name == meansUint:
		return writeUint32
	case physical == format.Int64 && e.meaning.name == meansUint:
		return writeUint64
	case physical == format.Int32 && e.meaning.name == meansDate:
		return writeDate
	case physical == format.Int64 && e.meaning.name == meansTime && e.meaning.unit > 0:
		return writeTimestamp(e.meaning.unit)
	case e.meaning.name != "":
		return writeRefused
	}
	switch e.physical {
	case format.Boolean:
		return writeFlag
	case format.Int32:
		return writeInt32
	case format.Int64:
		return writeInt64
	case format.Float:
		return writeFloat
	case format.Double:
		return writeDouble
	}
	return writeRefused
}

func writeFlag(b []byte, v *values, i int) ([]byte, error) {
	return strconv.AppendBool(b, v.flags[i] != 0), nil
}

func writeInt32(b []byte, v *values, i int) ([]byte, error) {
	return strconv.AppendInt(b, int64(v.int32s[i]), 10), nil
}

func writeInt64(b []byte, v *values, i int) ([]byte, error) {
	return strconv.AppendInt(b, v.int64s[i], 10), nil
}

func writeUint32(b []byte, v *values, i int) ([]byte, error) {
	return strconv.AppendUint(b, uint64(uint32(v.int32s[i])), 10), nil
}

func writeUint64(b []byte, v *values, i int) ([]byte, error) {
	return strconv.AppendUint(b, uint64(v.int64s[i]), 10), nil
}

func writeFloat(b []byte, v *values, i int) ([]byte, error) {
	return columns.AppendNumber(b, float64(v.floats[i]), 32)
}

func writeDouble(b []byte, v *values, i int) ([]byte, error) {
	return columns.AppendNumber(b, v.doubles[i], 64)
}

func writeDate(b []byte, v *values, i int) ([]byte, error) {
	return columns.AppendDate(b, int64(v.int32s[i])), nil
}

func writeTimestamp(unit time.Duration) writer {
	return func(b []byte, v *values, i int) ([]byte, error) {
		return columns.AppendTimestamp(b, v.int64s[i], unit), nil
	}
}

func writeText(b []byte, v *values, i int) ([]byte, error) {
	return columns.AppendText(b, v.bytes[v.offsets[i]:v.offsets[i+1]])
}

// writeUnknown is of columns that hold nothing but null.
func writeUnknown(b []byte, _ *values, _ int) ([]byte, error) {
	return b, errors.New("want null, got a value")
}

func writeRefused(b []byte, _ *values, _ int) ([]byte, error) {
	return b, errors.New("want text, numbers, true or false, dates or timestamps, or null, got a value of another type")
}
