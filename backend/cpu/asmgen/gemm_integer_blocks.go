package main

import "fmt"

// unpacker turns blocks into a panel's fours of bytes and scales, for AVX2's panels of eight rows and for AVX512_VNNI's of
// sixteen: a lane is a row. Registers 0 to 3 have what fours loads, 4 to 6 are free, 8 to 11 keep what several fours need.
type unpacker struct {
	*vec
	panelRows
	wide   bool              // sixteen rows
	r      func(int) string  // Y or Z
	scales string            // the register of a block's only scales
	held   map[string]string // masks in registers
	// keep is given number four of eight of a step, scale a step's scales, and what else it has.
	keep  func(step, four int, bytes string)
	scale func(step, which int, scales string)
}

// panelRows read a block of each of a panel's rows.
type panelRows interface {
	rows()                                        // sets the distances of the rows
	fours(offset int)                             // 16 bytes of every row to registers 0 to 3, each with four bytes of all rows
	halfScales(offset int, upper bool, to string) // an F16 of every row widened, the first or the second from offset on
	twoHalves()                                   // both in register 0's words, the first to register 4, the second to 5
}

// masks are of the bits that blocks are made of.
var masks = map[string]uint32{
	"nibbles": 0x0f0f0f0f, "fifthBits": 0x10101010, "upperTwoBits": 0x30303030, "sixBits": 0x3f3f3f3f, "lowBytes": 0xff,
	"signs": 0x80808080,
}

// A panelKind is a kind of blocks: its numbers, bytes, and the code that unpacks a block of every row.
type panelKind struct {
	name          string
	length, size  int
	unpack        func()
	masks         []string // that the code reads most
	least, halves bool     // a step has least numbers, or two scales
}

func (u *unpacker) kinds() []panelKind {
	return []panelKind{
		{name: "Q8_0", length: 32, size: 34, unpack: u.unpackQ8, masks: words("signs")},
		{name: "Q4_0", length: 32, size: 18, unpack: u.unpackQ4, masks: words("nibbles")},
		{name: "Q4_K", length: 256, size: 144, unpack: u.unpackQ4K, masks: words("nibbles"), least: true},
		{name: "Q5_K", length: 256, size: 176, unpack: func() { u.unpackQ5K(16) }, masks: words("nibbles fifthBits"), least: true},
		{name: "Q6_K", length: 256, size: 210, unpack: u.unpackQ6K, masks: words("nibbles upperTwoBits"), halves: true},
	}
}

// mask leaves a mask's bits of a register.
func (u *unpacker) mask(name, from, to string) {
	switch held, ok := u.held[name]; {
	case ok && u.wide:
		u.I("VPANDD", held, from, to)
	case ok:
		u.I("VPAND", held, from, to)
	case u.wide:
		u.I("VPANDD.BCST", u.bits(name, masks[name]), from, to)
	default:
		u.I("VPAND", u.bits(name, masks[name]), from, to)
	}
}

// merge ors what a mask leaves of a register, which goes to scratch or nowhere.
func (u *unpacker) merge(name, from, scratch, to string) {
	held, ok := u.held[name]
	switch {
	case !u.wide:
		u.mask(name, from, scratch)
		u.I("VPOR", scratch, to, to)
	case ok:
		u.I("VPTERNLOGD", Imm(0xf8), held, from, to) // to | from & held
	default:
		u.I("VPTERNLOGD.BCST", Imm(0xf8), u.bits(name, masks[name]), from, to)
	}
}

// joined ors what a mask leaves of a register's words, which are shifted to the left.
func (u *unpacker) joined(name, from string, left int, to string) {
	scratch := u.r(6)
	if left != 0 {
		u.shifted(from, left, scratch)
		from = scratch
	}
	u.merge(name, from, scratch, to)
}

// lower and upper are the nibbles of bytes.
func (u *unpacker) lower(from, to string) { u.mask("nibbles", from, to) }

func (u *unpacker) upper(from, to string) {
	u.I("VPSRLW", Imm(4), from, to)
	u.lower(to, to)
}

// nibbles are those of register i, to 4 the lower and to 5 the upper ones.
func (u *unpacker) nibbles(i int) {
	u.lower(u.r(i), u.r(4))
	u.upper(u.r(i), u.r(5))
}

// aside keeps registers 0 to 3 in 8 to 11.
func (u *unpacker) aside() {
	move := "VMOVDQA"
	if u.wide {
		move = "VMOVDQA64"
	}
	for i := range 4 {
		u.I(move, u.r(i), u.r(8+i))
	}
}

// onlyScales are of blocks that begin with one F16.
func (u *unpacker) onlyScales() {
	u.halfScales(0, false, u.scales)
	u.scale(0, 0, u.scales)
}

// unpackQ8 gives bytes with a sign, and 128 larger without one for sixteen rows.
func (u *unpacker) unpackQ8() {
	for half := range 2 {
		u.fours(2 + 16*half)
		for i := range 4 {
			if u.wide {
				u.I("VPXORD", u.held["signs"], u.r(i), u.r(i))
			}
			u.keep(0, 4*half+i, u.r(i))
		}
	}
	u.onlyScales()
}

func (u *unpacker) unpackQ4() {
	u.fours(2)
	for i := range 4 {
		u.nibbles(i)
		u.keep(0, i, u.r(4))
		u.keep(0, 4+i, u.r(5))
	}
	u.onlyScales()
}

// sixBitScales unpacks the scales and least numbers of Q4_K's and Q5_K's blocks: two F16, then eight scales and eight least
// numbers of six bits in three times four bytes. The numbers' bytes are zero too large.
func (u *unpacker) sixBitScales(zero int) {
	u.fours(0)
	u.twoHalves()
	u.mask("sixBits", u.r(1), u.r(6))
	u.mask("sixBits", u.r(2), u.r(8))
	u.lower(u.r(3), u.r(7))
	u.upper(u.r(3), u.r(9))
	for i := range 2 { // with two bits that the first four leave
		first := u.r(1 + i)
		u.I("VPSRLW", Imm(2), first, first)
		u.merge("upperTwoBits", first, first, u.r(7+2*i))
	}
	less := "VFNMADD231PS"
	if u.wide {
		less += ".BCST"
	}
	for group := range 8 {
		u.byteOf(u.r(6+group/4), group%4, u.r(0))
		u.I("VMULPS", u.r(4), u.r(0), u.r(0))
		u.scale(group, 0, u.r(0))
		u.byteOf(u.r(8+group/4), group%4, u.r(1))
		u.I("VMULPS", u.r(5), u.r(1), u.r(1))
		if zero != 0 {
			u.I(less, u.constant(fmt.Sprintf("zero%d", zero), float64(zero)), u.r(0), u.r(1))
		}
		u.scale(group, 1, u.r(1))
	}
}

// byteOf widens the i-th byte of four.
func (u *unpacker) byteOf(from string, i int, to string) {
	if i > 0 {
		u.I("VPSRLD", Imm(8*i), from, to)
		from = to
	}
	if i < 3 {
		u.mask("lowBytes", from, to)
	}
	u.I("VCVTDQ2PS", to, to)
}

func (u *unpacker) unpackQ4K() {
	u.sixBitScales(0)
	for pair := range 4 {
		for half := range 2 {
			u.fours(16 + 32*pair + 16*half)
			for i := range 4 {
				u.nibbles(i)
				u.keep(2*pair, 4*half+i, u.r(4))
				u.keep(2*pair+1, 4*half+i, u.r(5))
			}
		}
	}
}

// shifted is a register's words shifted to the left, or to the right if that is negative.
func (v *vec) shifted(from string, left int, to string) {
	if left < 0 {
		v.I("VPSRLW", Imm(-left), from, to)
	} else {
		v.I("VPSLLW", Imm(left), from, to)
	}
}

// wholeQ5K is Q5_K with the least numbers that it has, for products whose bytes are widened.
func (u *unpacker) wholeQ5K() panelKind {
	return panelKind{name: "WholeQ5_K", length: 256, size: 176, unpack: func() { u.unpackQ5K(0) }, masks: words("nibbles fifthBits")}
}

// unpackQ5K gives numbers that are taken as zero less: as 16 less, so that AVX2's sums of a step are small enough.
func (u *unpacker) unpackQ5K(zero int) {
	u.sixBitScales(zero)
	for half := range 2 {
		u.fours(16 + 16*half)
		u.aside() // fifth bits of eight groups
		for pair := range 4 {
			u.fours(48 + 32*pair + 16*half)
			for i := range 4 {
				u.nibbles(i)
				for j := range 2 {
					u.joined("fifthBits", u.r(8+i), 4-2*pair-j, u.r(4+j))
					u.keep(2*pair+j, 4*half+i, u.r(4+j))
				}
			}
		}
	}
}

// signedScales unpacks the scales of Q6_K's blocks, two of 16 numbers a step.
func (u *unpacker) signedScales() {
	u.halfScales(206, true, u.r(8)) // the last of 210 bytes: four from 208 on would be beyond them
	u.fours(192)
	for scale := range 16 {
		from, to := u.r(scale/4), u.r(4)
		if shift := 24 - 8*(scale%4); shift > 0 {
			u.I("VPSLLD", Imm(shift), from, to)
			from = to
		}
		u.I("VPSRAD", Imm(24), from, to)
		u.I("VCVTDQ2PS", to, to)
		u.I("VMULPS", u.r(8), to, to)
		u.scale(scale/2, scale%2, to)
	}
}

func (u *unpacker) unpackQ6K() {
	u.signedScales()
	for block := range 2 { // of 128 numbers: 64 bytes of lower bits, 32 of upper ones
		for half := range 2 {
			u.fours(128 + 32*block + 16*half)
			u.aside()
			for quarter := range 2 {
				u.fours(64*block + 32*quarter + 16*half)
				for i := range 4 {
					u.nibbles(i)
					for j := range 2 {
						u.joined("upperTwoBits", u.r(8+i), 4-2*(quarter+2*j), u.r(4+j))
						u.keep(4*block+quarter+2*j, 4*half+i, u.r(4+j))
					}
				}
			}
		}
	}
}

// stepBytes is how far a panel's steps are apart.
func (u *unpacker) stepBytes() int {
	if u.wide {
		return wideStep
	}
	return panelStep
}

// inPanel is a step's scales in a panel, and what else it has.
func (u *unpacker) inPanel(step, which int) string {
	scales := u.stepBytes() / panelStep * (panelScales + (panelOthers-panelScales)*which)
	return Mem(u.stepBytes()*step+scales, "DX")
}

func (u *unpacker) storeScales(step, which int, scales string) {
	u.I("VMOVUPS", scales, u.inPanel(step, which))
}

// storeFours keeps all in a panel.
func (u *unpacker) storeFours(step, four int, bytes string) {
	if u.wide {
		u.I("VMOVDQU64", bytes, Mem(wideStep*step+64*four, "DX"))
	} else {
		u.I("VMOVDQU", bytes, Mem(panelStep*step+32*four, "DX"))
	}
}

// packer writes the packing of a panel.
func (u *unpacker) packer(kind panelKind) {
	name, rows := "packPanel"+kind.name, "eight"
	if u.wide {
		name, rows = "packPanelVNNI"+kind.name, "sixteen"
	}
	u.Func(name, fmt.Sprintf(`%s packs %s rows of blocks, ld bytes apart; k is a positive multiple of %d.`, name, rows, kind.length),
		Arg{"panel", "unsafe.Pointer"}, Arg{"b", "unsafe.Pointer"}, Arg{"ld", "int"}, Arg{"k", "int"})
	u.I("MOVQ", u.Arg("panel"), "DX")
	u.I("MOVQ", u.Arg("b"), "SI")
	u.I("MOVQ", u.Arg("k"), "CX")
	u.panelRows.rows()
	bases, next := []string{"SI"}, []string{"R12"}
	if u.wide {
		u.hold(kind)
		bases, next = []string{"SI", "AX"}, []string{"R12", "R13"}
	}
	all := append(bases, next...)
	for i := 1; i < len(all); i++ {
		u.I("LEAQ", Idx(0, all[i-1], "R8", 8), all[i])
	}
	u.keep, u.scale = u.fetching(kind, next), u.storeScales
	loop := u.NewLabel("loop")
	u.Label(loop)
	kind.unpack()
	for _, rows := range all {
		u.I("ADDQ", Imm(kind.size), rows)
	}
	u.I("ADDQ", Imm(u.stepBytes()*kind.length/32), "DX")
	u.I("SUBQ", Imm(kind.length), "CX")
	u.I("JNZ", loop)
	u.Return()
}

// fetching is storeFours that asks for the same blocks of the rows behind these, eight from each of next on, a few lines at
// a time: what comes first of a row the processor would not fetch before it is read.
func (u *unpacker) fetching(kind panelKind, next []string) func(step, four int, bytes string) {
	var lines []string
	for _, rows := range next {
		for r := range 8 {
			for line := 0; line < kind.size; line += 64 {
				lines = append(lines, rowOf(r, line, rows))
			}
		}
	}
	kept, all := 0, kind.length/32*8
	return func(step, four int, bytes string) {
		u.storeFours(step, four, bytes)
		for _, line := range lines[len(lines)*kept/all : len(lines)*(kept+1)/all] {
			u.I("PREFETCHT0", line)
		}
		kept++
	}
}

// hold loads a kind's masks to Z14 and Z15.
func (u *unpacker) hold(kind panelKind) {
	u.held = map[string]string{}
	for i, name := range kind.masks {
		u.held[name] = Z(14 + i)
		u.I("MOVL", fmt.Sprintf("$0x%08x", masks[name]), "AX")
		u.I("VPBROADCASTD", "AX", Z(14+i))
	}
}
