package quant

// K-quants are blocks of 256 numbers in groups, whose scales are integers times one F16.

// sixBits are scale and least number of group j of eight, six bits each in twelve bytes: those
// of the first four groups are the lower bits of bytes j and j+4, those of the others four
// bits of byte j+4 and, above them, the two bits that are left of bytes j-4 and j.
func sixBits(b []byte, j int) (scale, least byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

// decodeQ4_K: q (scale d) - least dmin in eight groups of 32. The block is d, dmin, the twelve bytes of
// sixBits, and 128 bytes, of which 32 hold two groups, in their lower and their upper halves.
func decodeQ4_K(x []float32, b []byte) {
	d, dmin := scale(b), scale(b[2:])
	for j := range 8 {
		s, l := sixBits(b[4:16], j)
		step, least, shift := d*float32(s), dmin*float32(l), j%2*4
		group := x[32*j : 32*j+32]
		for i, q := range b[16+j/2*32:][:32] {
			group[i] = float32(float32(q>>shift&15)*step) - least
		}
	}
}

// decodeQ5_K is decodeQ4_K with a fifth bit: that of number i of group j is bit j of byte i of the 32 that
// stand before those of the lower four bits.
func decodeQ5_K(x []float32, b []byte) {
	d, dmin := scale(b), scale(b[2:])
	for j := range 8 {
		s, l := sixBits(b[4:16], j)
		step, least, shift := d*float32(s), dmin*float32(l), j%2*4
		group, fifth := x[32*j:32*j+32], b[16:48]
		for i, q := range b[48+j/2*32:][:32] {
			group[i] = float32(float32(q>>shift&15|fifth[i]>>j&1<<4)*step) - least
		}
	}
}

// decodeQ6_K: (q - 32) (scale d) in sixteen groups of 16. The block is 128 bytes of lower four bits, 64 of
// upper two, sixteen signed scales, and d. Each half, of 128 numbers, has 64 bytes of the former, whose
// lower halves are its first 64 numbers, and 32 of the latter, two bits for numbers 32 apart.
func decodeQ6_K(x []float32, b []byte) {
	d := scale(b[208:])
	for g := range 16 {
		step := d * float32(int8(b[192+g]))
		n, at := g/8, g%8*16 // half, and place in it
		low, high := b[64*n+at%64:][:16], b[128+32*n+at%32:][:16]
		group := x[16*g : 16*g+16]
		for i := range group {
			q := low[i]>>(at/64*4)&15 | high[i]>>(at/32*2)&3<<4
			group[i] = float32(int(q)-32) * step
		}
	}
}
