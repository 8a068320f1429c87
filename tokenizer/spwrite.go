package tokenizer

import (
	"encoding/binary"
	"math"
)

// model is the vocabulary as the content of a tokenizer.model, which parseModel reads.
func (v Vocabulary) model() []byte {
	var b []byte
	byteFallback := false
	for i, text := range v.Pieces {
		p := appendBytes(nil, 1, text)
		p = binary.AppendUvarint(p, 2<<3|wireFixed32)
		p = binary.LittleEndian.AppendUint32(p, math.Float32bits(v.Scores[i]))
		if kind := pieceType(v.Types[i]); kind != normal {
			p = appendInt(p, 3, int(kind))
		}
		b = appendBytes(b, 1, p)
		byteFallback = byteFallback || pieceType(v.Types[i]) == byteType
	}
	trainer := appendInt(nil, 3, modelBPE)
	trainer = appendInt(trainer, 4, len(v.Pieces))
	trainer = appendBool(trainer, 35, byteFallback)
	trainer = appendInt(trainer, 40, int(v.Unknown))
	trainer = appendInt(trainer, 41, int(v.BOS))
	trainer = appendInt(trainer, 42, int(v.EOS))
	trainer = appendInt(trainer, 43, -1) // no padding
	trainer = appendBytes(trainer, 45, v.Pieces[v.Unknown])
	for i, id := range []int32{v.BOS, v.EOS} { // the names by which the ends are found
		if id >= 0 {
			trainer = appendBytes(trainer, 46+i, v.Pieces[id])
		}
	}
	b = appendBytes(b, 2, trainer)
	norm := appendBytes(nil, 1, "identity")
	norm = appendBool(norm, 3, v.DummyPrefix)
	norm = appendBool(norm, 4, v.RemoveExtraSpace)
	norm = appendBool(norm, 5, true) // spaces are ▁
	return appendBytes(b, 3, norm)
}

// The writers of one field of a protobuf message.

func appendBytes[T string | []byte](b []byte, num int, data T) []byte {
	b = binary.AppendUvarint(b, uint64(num)<<3|wireBytes)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

func appendInt(b []byte, num, v int) []byte {
	b = binary.AppendUvarint(b, uint64(num)<<3|wireVarint)
	return binary.AppendUvarint(b, uint64(v))
}

func appendBool(b []byte, num int, v bool) []byte {
	if v {
		return appendInt(b, num, 1)
	}
	return appendInt(b, num, 0)
}
