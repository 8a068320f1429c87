// Package quant converts between float32 and quantized blocks: a fixed number of
// neighbors in a row that share scales. One table says what each kind of block is;
// everything else that reads blocks (files, tensors, kernels) asks it.
//
// Most layouts are those of ggml-common.h (https://github.com/ggml-org/ggml), and what
// such a block widens to has the bits that llama.cpp widens it to. NF4, FP4, FP8 and U4 are the
// numbers of bitsandbytes', FP8, GPTQ and AWQ folders, whose scales lie in tensors of their own
// there and at the head of each block here: so a row can be read alone.
package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Type is a kind of block.
type Type uint8

// The kinds, by GGML's names, and those that GGML does not have.
const (
	Q8_0 Type = iota
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	IQ4_NL
	Q4_K
	Q5_K
	Q6_K
	NF4 // from here on not GGML's
	FP4
	FP8
	U4

	Types // how many there are
)

// format is a kind of block.
type format struct {
	name       string
	len, bytes int                                                // numbers of a block, and the bytes it takes
	scales     []int                                              // where F16 scales are in it; nil: an F32 is first
	decode     func(dst []float32, block []byte)                  // of one block
	append     func(dst []byte, values []float32) ([]byte, error) // of whole blocks; nil: they are read alone
}

var formats = [Types]format{
	Q8_0:   {"Q8_0", 32, 34, []int{0}, decodeQ8_0, appendQ8_0},
	Q4_0:   {"Q4_0", 32, 18, []int{0}, decodeQ4_0, appendQ4_0},
	Q4_1:   {"Q4_1", 32, 20, []int{0, 2}, decodeQ4_1, nil},
	Q5_0:   {"Q5_0", 32, 22, []int{0}, decodeQ5_0, nil},
	Q5_1:   {"Q5_1", 32, 24, []int{0, 2}, decodeQ5_1, nil},
	IQ4_NL: {"IQ4_NL", 32, 18, []int{0}, decodeIQ4_NL, nil},
	Q4_K:   {"Q4_K", 256, 144, []int{0, 2}, decodeQ4_K, appendQ4_K},
	Q5_K:   {"Q5_K", 256, 176, []int{0, 2}, decodeQ5_K, nil},
	Q6_K:   {"Q6_K", 256, 210, []int{208}, decodeQ6_K, appendQ6_K},
	NF4:    {"NF4", 64, 36, nil, decodeNF4, appendNF4},
	FP4:    {"FP4", 64, 36, nil, decodeFP4, nil},
	FP8:    {"FP8", 128, 132, nil, decodeFP8, nil},
	U4:     {"U4", 64, 36, []int{0}, decodeU4, nil},
}

// MaxLen is the most numbers of a block; those of every kind divide it.
const MaxLen = 256

// InGGUF reports whether the kind is one of GGML's.
func (t Type) InGGUF() bool { return t < NF4 }

// String is the kind's name: GGML's, where it is one of those.
func (t Type) String() string {
	if t < Types {
		return formats[t].name
	}
	return fmt.Sprintf("block type %d", uint8(t))
}

// Len is how many numbers a block has.
func (t Type) Len() int { return formats[t].len }

// Bytes is how many bytes n numbers take, which are whole blocks.
func (t Type) Bytes(n int) int { return n / formats[t].len * formats[t].bytes }

// Decode widens blocks; src has Bytes(len(dst)) bytes.
func (t Type) Decode(dst []float32, src []byte) {
	f := &formats[t]
	for ; len(dst) >= f.len; src, dst = src[f.bytes:], dst[f.len:] {
		f.decode(dst[:f.len:f.len], src[:f.bytes:f.bytes])
	}
}

// CanAppend reports whether Append makes blocks of the kind.
func (t Type) CanAppend() bool { return formats[t].append != nil }

// Append appends the blocks of values, whose number is a multiple of Len, as ggml's
// reference quantizer makes them. A block whose scale is no finite F16 is a *ScaleError, and
// so is a kind that is read alone.
func (t Type) Append(dst []byte, values []float32) ([]byte, error) {
	if !t.CanAppend() {
		return dst, fmt.Errorf("quant: want a kind of block that can be made (Q8_0, Q4_0, Q4_K, Q6_K or NF4), got %s", t)
	}
	f := &formats[t]
	out, err := f.append(dst, values)
	if bad := (*ScaleError)(nil); errors.As(err, &bad) {
		bad.At = (len(out) - len(dst)) / f.bytes * f.len
		bad.At += slices.IndexFunc(values[bad.At:], func(x float32) bool { return x == bad.Value || x != x })
	}
	return out, err
}

// Check returns an error for the first block whose scale is infinite or NaN, or a number of which
// is, which is no number of a model but damage.
func (t Type) Check(src []byte) error {
	f := &formats[t]
	for at := 0; at+f.bytes <= len(src); at += f.bytes {
		for _, s := range f.scales {
			if h := binary.LittleEndian.Uint16(src[at+s:]); h&0x7c00 == 0x7c00 {
				return fmt.Errorf("want finite scales of %s, got F16 %#04x in block %d", t, h, at/f.bytes)
			}
		}
		if f.scales != nil {
			continue
		}
		if d := scale32(src[at:]); !(abs(d) <= t.maxScale()) {
			return fmt.Errorf("want scales of %s of at most %g, got %v in block %d", t, t.maxScale(), d, at/f.bytes)
		}
		if i := t.firstNaN(src[at+4 : at+f.bytes]); i >= 0 {
			return fmt.Errorf("want numbers, got the code of NaN, %#02x, in block %d of %s", src[at+4+i], at/f.bytes, t)
		}
	}
	return nil
}

// maxScale is the largest F32 scale of a kind whose products with all numbers are finite.
func (t Type) maxScale() float32 {
	if t == FP8 {
		return math.MaxFloat32 / maxE4M3
	}
	return math.MaxFloat32 // of levels up to 1
}
