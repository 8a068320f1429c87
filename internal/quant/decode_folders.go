package quant

import (
	"encoding/binary"
	"math"
)

// The numbers of folders in blocks of our own. Those that are levels or small floats begin with their scale in F32;
// a product rounds once. Their files hold the scales beside the numbers, for as many or more of these.

// scale32 is the F32 at the beginning of b.
func scale32(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

// NormalFloat are the sixteen levels of NF4, quantiles of a normal distribution: QLoRA (2305.14314), appendix E.
var NormalFloat = [16]float32{
	-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
}

// Float4 are the sixteen levels of bitsandbytes' FP4: a sign, two bits of exponent and one behind the point, of
// which the largest, 12, becomes 1. Its codes are in no order, and the exponents not those of OCP's FP4
// (https://github.com/bitsandbytes-foundation/bitsandbytes, get_4bit_type).
var Float4 = [16]float32{
	0, 0.0625 / 12, 8.0 / 12, 1, 4.0 / 12, 6.0 / 12, 2.0 / 12, 3.0 / 12,
	0, -0.0625 / 12, -8.0 / 12, -1, -4.0 / 12, -6.0 / 12, -2.0 / 12, -3.0 / 12,
}

// decodeNF4: NormalFloat[q] d; the upper half of byte i is number 2i, the lower one number 2i+1.
func decodeNF4(x []float32, b []byte) { decodeLevels(&NormalFloat, x, b) }

// decodeFP4: Float4[q] d, in the order of NF4.
func decodeFP4(x []float32, b []byte) { decodeLevels(&Float4, x, b) }

func decodeLevels(levels *[16]float32, x []float32, b []byte) {
	d := scale32(b)
	for i, q := range b[4:36] {
		x[2*i] = levels[q>>4] * d
		x[2*i+1] = levels[q&15] * d
	}
}

// maxE4M3 is the largest number of E4M3.
const maxE4M3 = 448

// FromE4M3 widens a float of eight bits: a sign, four bits of exponent (bias 7), three behind the point, no infinity,
// and NaN where all bits but the sign are 1 ("FP8 Formats for Deep Learning", 2209.05433, table 1).
func FromE4M3(b byte) float32 {
	sign, rest := uint32(b&0x80)<<24, uint32(b&0x7f)
	if rest == 0x7f {
		return float32(math.NaN())
	}
	// The bits stand where those of a float32 do, whose bias is 120 more. Subnormals are so in both.
	return math.Float32frombits(sign|rest<<20) * 0x1p120
}

// decodeFP8: E4M3 numbers times d.
func decodeFP8(x []float32, b []byte) {
	d := scale32(b)
	for i, q := range b[4:132] {
		x[i] = FromE4M3(q) * d
	}
}

// decodeU4: (q - zero) d, GPTQ's and AWQ's numbers. The block is d in F16, the byte zero, an unused one, and 32 bytes, of
// which the lower half of byte i is number 2i, the upper one number 2i+1. All is exact in float32.
func decodeU4(x []float32, b []byte) {
	d, zero := scale(b), int(b[2])
	for i, q := range b[4:36] {
		x[2*i] = float32(int(q&15)-zero) * d
		x[2*i+1] = float32(int(q>>4)-zero) * d
	}
}

// firstNaN is where a NaN is among the numbers behind the scale of a block, -1 if there is none.
func (t Type) firstNaN(numbers []byte) int {
	if t == FP8 {
		for i, b := range numbers {
			if b&0x7f == 0x7f {
				return i
			}
		}
	}
	return -1
}
