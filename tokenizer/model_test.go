package tokenizer

import (
	"encoding/binary"
	"fmt"
	"math"
)

// modelFile writes a tokenizer.model for the tests.
type modelFile struct {
	pieces                  []piece
	modelType               uint64
	byteFallback            bool
	noDummy, keepSpace, raw bool // add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces are false
	normalizer, charsmap    string
}

func number(b []byte, num int, v uint64) []byte {
	b = binary.AppendUvarint(b, uint64(num)<<3|wireVarint)
	return binary.AppendUvarint(b, v)
}

func message[T string | []byte](b []byte, num int, data T) []byte {
	b = binary.AppendUvarint(b, uint64(num)<<3|wireBytes)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

func (m modelFile) bytes() []byte {
	var b []byte
	for _, p := range m.pieces {
		x := message(nil, 1, p.text)
		x = binary.AppendUvarint(x, 2<<3|wireFixed32)
		x = binary.LittleEndian.AppendUint32(x, math.Float32bits(p.score))
		if p.kind != normal {
			x = number(x, 3, uint64(p.kind))
		}
		b = message(b, 1, x)
	}
	if m.modelType == 0 {
		m.modelType = modelBPE
	}
	trainer := number(nil, 3, m.modelType)
	trainer = number(trainer, 43, math.MaxUint64) // pad_id -1, which is not used
	trainer = number(trainer, 35, truth(m.byteFallback))
	b = message(b, 2, trainer)
	norm := message(nil, 1, m.normalizer)
	norm = message(norm, 2, m.charsmap)
	norm = number(norm, 3, truth(!m.noDummy))
	norm = number(norm, 4, truth(!m.keepSpace))
	norm = number(norm, 5, truth(!m.raw))
	return message(b, 3, norm)
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// basic are <unk>, <s> and </s>, as in LLaMA.
func basic() []piece {
	return []piece{{"<unk>", 0, unknown}, {"<s>", 0, control}, {"</s>", 0, control}}
}

func withBytes(p []piece) []piece {
	for i := range 256 {
		p = append(p, piece{fmt.Sprintf("<0x%02X>", i), 0, byteType})
	}
	return p
}

// llama is a small model of LLaMA's kind: byte fallback, dummy prefix, spaces kept.
func llama(words ...string) modelFile {
	m := modelFile{pieces: withBytes(basic()), byteFallback: true, keepSpace: true, normalizer: "identity"}
	for i, w := range words {
		m.pieces = append(m.pieces, piece{w, -float32(i), normal})
	}
	return m
}
