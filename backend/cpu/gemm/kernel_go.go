package gemm

import (
	"math"
	"unsafe"

	"github.com/agora-ml/agora/internal/quant"
)

// portable is the kernel in pure Go: the meaning of the others, and all there is
// on other architectures or with the noasm tag.
var portable = kernel{
	name: "go", rows: 4, cols: 8, kc: 256, strip: 64,
	narrow: []func(*tile){nil, goTile(1, 4), goTile(2, 4), goTile(3, 4), goTile(4, 4)},
	full:   []func(*tile){nil, goTile(1, 8), goTile(2, 8), goTile(3, 8), goTile(4, 8)},
	packers: packers{
		rowsNarrow: [4]rowsPacker{goRows(formatF32, 4), goRows(formatF16, 4), goRows(formatBF16, 4)},
		rowsFull:   [4]rowsPacker{goRows(formatF32, 8), goRows(formatF16, 8), goRows(formatBF16, 8)},
		rowsA:      [4]rowsPacker{goRows(formatF32, 4), goRows(formatF16, 4), goRows(formatBF16, 4)},
	},
	vectors: vectors{
		dots: [3]func(sums *float32, x, b unsafe.Pointer, ld, k, rows int){goDots(formatF32), goDots(formatF16),
			goDots(formatBF16)},
		axpys4: [3]func(y, x, b unsafe.Pointer, ld, n int){goAxpys(formatF32, 4), goAxpys(formatF16, 4),
			goAxpys(formatBF16, 4)},
		axpys1: [3]func(y, x, b unsafe.Pointer, ld, n int){goAxpys(formatF32, 1), goAxpys(formatF16, 1),
			goAxpys(formatBF16, 1)},
	},
}

// goTile returns a micro-kernel: blocks of 2x4 sums, as many as stay in registers.
func goTile(rows, width int) func(*tile) {
	return func(t *tile) {
		for i := 0; i < rows; i += 2 {
			second := min(i+1, rows-1)
			for j := 0; j < width; j += 4 {
				a0, a1, b := unsafe.Add(t.a, i*t.rs), unsafe.Add(t.a, second*t.rs), unsafe.Add(t.b, 4*j)
				var s [2][4]float32
				for l := range t.k {
					x, y := *(*float32)(unsafe.Add(a0, l*t.ks)), *(*float32)(unsafe.Add(a1, l*t.ks))
					v := (*[4]float32)(unsafe.Add(b, l*t.bs))
					s[0][0] += x * v[0]
					s[0][1] += x * v[1]
					s[0][2] += x * v[2]
					s[0][3] += x * v[3]
					s[1][0] += y * v[0]
					s[1][1] += y * v[1]
					s[1][2] += y * v[2]
					s[1][3] += y * v[3]
				}
				for r := i; r <= second; r++ {
					for q := j; q < min(j+4, t.cols); q++ {
						c := (*float32)(unsafe.Add(t.c, r*t.ldc+4*q))
						if sum := t.alpha * s[r-i][q-j]; t.acc {
							*c += sum
						} else {
							*c = sum
						}
					}
				}
			}
		}
	}
}

func goRows(f format, width int) rowsPacker {
	return func(dst, src unsafe.Pointer, ld, k, panels, size int) {
		for i := range k {
			for p := range panels {
				to := unsafe.Slice((*float32)(unsafe.Add(dst, p*size+4*i*width)), width)
				f.widen(to, unsafe.Add(src, i*ld+p*width*f.size()))
			}
		}
	}
}

func goDots(f format) func(sums *float32, x, b unsafe.Pointer, ld, k, rows int) {
	return func(sums *float32, x, b unsafe.Pointer, ld, k, rows int) {
		for i := range rows {
			row := unsafe.Add(b, i*ld)
			var s float32
			for j, v := range unsafe.Slice((*float32)(x), k) {
				s += v * f.at(row, j)
			}
			*(*float32)(unsafe.Add(unsafe.Pointer(sums), 4*i)) += s
		}
	}
}

func goAxpys(f format, rows int) func(y, x, b unsafe.Pointer, ld, n int) {
	return func(y, x, b unsafe.Pointer, ld, n int) {
		to := unsafe.Slice((*float32)(y), n)
		for i, v := range unsafe.Slice((*float32)(x), rows) {
			row := unsafe.Add(b, i*ld)
			for j := range to {
				to[j] += v * f.at(row, j)
			}
		}
	}
}

// widen converts len(dst) elements.
func (f format) widen(dst []float32, src unsafe.Pointer) {
	if f == formatF32 {
		copy(dst, unsafe.Slice((*float32)(src), len(dst)))
		return
	}
	for i := range dst {
		dst[i] = f.at(src, i)
	}
}

// at is element i as float32.
func (f format) at(p unsafe.Pointer, i int) float32 {
	switch f {
	case formatF32:
		return *(*float32)(unsafe.Add(p, 4*i))
	case formatBF16:
		return math.Float32frombits(uint32(*(*uint16)(unsafe.Add(p, 2*i))) << 16)
	case formatF16:
		return fromHalf(*(*uint16)(unsafe.Add(p, 2*i)))
	}
	var block [quant.MaxLen]float32
	t := f.blocks()
	t.Decode(block[:t.Len()], unsafe.Slice((*byte)(unsafe.Add(p, t.Bytes(i))), t.Bytes(t.Len())))
	return block[i%t.Len()]
}

// fromHalf widens an IEEE half: 1 sign, 5 exponent (bias 15), 10 fraction bits.
// A signalling NaN becomes quiet, as the hardware makes it.
func fromHalf(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch {
	case exponent == 31 && fraction != 0:
		return math.Float32frombits(sign | 0x7fc00000 | fraction<<13)
	case exponent == 31:
		return math.Float32frombits(sign | 0x7f800000)
	case exponent == 0: // zero or subnormal: fraction * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
