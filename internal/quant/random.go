package quant

import (
	"encoding/binary"
	"math"

	"github.com/agora-ml/agora/internal/half"
)

// Random makes the blocks of n numbers of bits that next gives, whose largest magnitude is between half of most,
// a power of two, and most: what tests use of kinds that Append does not make.
func (t Type) Random(next func() uint32, n int, most float32) []byte {
	f := &formats[t]
	data := make([]byte, t.Bytes(n))
	for i := range data {
		data[i] = byte(next())
	}
	t.MakeFinite(data)
	values := make([]float32, f.len)
	for at := 0; at < len(data); at += f.bytes {
		block := data[at : at+f.bytes]
		if t == U4 {
			block[2] %= 17 // a zero among the codes: beyond them all numbers would be of one sign
		}
		scales := make([]float32, max(1, len(f.scales)))
		set := func(by float32) {
			if f.scales == nil {
				binary.LittleEndian.PutUint32(block, math.Float32bits(scales[0]*by))
			}
			for i, s := range f.scales {
				binary.LittleEndian.PutUint16(block[s:], half.ToF16(scales[i]*by))
			}
		}
		for i := range scales {
			scales[i] = float32(1+next()%64) / 64 * (1 - 2*float32(next()&1))
		}
		set(1)
		f.decode(values, block)
		_, e := math.Frexp(float64(abs(extreme(values))))
		set(most * float32(math.Ldexp(1, -e)))
	}
	return data
}

// MakeFinite makes small numbers of scales that are infinite, NaN or too large, and of numbers that are NaN, in
// blocks of random bits.
func (t Type) MakeFinite(blocks []byte) {
	f := &formats[t]
	for at := 0; at < len(blocks); at += f.bytes {
		if f.scales == nil && !(abs(scale32(blocks[at:])) <= t.maxScale()) {
			blocks[at+3] &= 0xbf
		}
		for i := t.firstNaN(blocks[at+4 : at+f.bytes]); i >= 0; i = t.firstNaN(blocks[at+4 : at+f.bytes]) {
			blocks[at+4+i] &^= 1
		}
		for _, s := range f.scales {
			if high := &blocks[at+s+1]; *high&0x7c == 0x7c {
				*high &= 0x83
			}
		}
	}
}
