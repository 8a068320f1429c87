// Package kernelcode is what the structs are made of that shaders/gen writes, Agora's own and
// those of other programs. Nobody else needs it.
package kernelcode

import (
	"embed"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Pusher builds a push-constant block and keeps the first error.
type Pusher struct {
	bytes  []byte
	kernel string
	err    error
}

// Push begins the block of a kernel's call behind what b holds.
func Push(kernel string, b []byte) Pusher { return Pusher{bytes: b, kernel: kernel} }

// Check refuses what a 32-bit size cannot hold.
func (p *Pusher) Check(field string, v int) {
	if (v < 0 || uint64(v) > math.MaxUint32) && p.err == nil {
		p.err = fmt.Errorf("shaders: %s: %s is %d, want 0 to %d", p.kernel, field, v, uint32(math.MaxUint32))
	}
}

// OneOf refuses a size that is none of these.
func (p *Pusher) OneOf(field string, v int, values ...int) {
	if slices.Contains(values, v) || p.err != nil {
		return
	}
	want := make([]string, len(values)) // written one by one: values need not be on the heap
	for i, n := range values {
		want[i] = strconv.Itoa(n)
	}
	p.err = fmt.Errorf("shaders: %s: %s is %d, want one of %s", p.kernel, field, v, strings.Join(want, ", "))
}

// Uint appends a size.
func (p *Pusher) Uint(field string, v int) {
	p.Check(field, v)
	p.bytes = binary.LittleEndian.AppendUint32(p.bytes, uint32(v))
}

// Bits appends any 32 bits.
func (p *Pusher) Bits(_ string, v uint32) { p.bytes = binary.LittleEndian.AppendUint32(p.bytes, v) }

// Float appends a number.
func (p *Pusher) Float(_ string, v float32) {
	p.bytes = binary.LittleEndian.AppendUint32(p.bytes, math.Float32bits(v))
}

// Enum refuses what is not one of n values.
func (p *Pusher) Enum(field string, v, n uint32) {
	if v >= n && p.err == nil {
		p.err = fmt.Errorf("shaders: %s: %s is %d, want 0 to %d", p.kernel, field, v, n-1)
	}
}

// Done ends the block. It refuses bindings that a 32-bit index cannot reach: SPIR-V takes it as
// signed. Names are the bindings', with spaces between.
func (p *Pusher) Done(lens []int, names string) ([]byte, error) {
	for i, n := range lens {
		if n > math.MaxInt32 && p.err == nil {
			p.err = fmt.Errorf("shaders: %s: %s has %d elements, want at most %d", p.kernel, strings.Fields(names)[i],
				n, math.MaxInt32)
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.bytes, nil
}

// Mul is the product of sizes, or the largest int where that overflows.
func Mul(factors ...int) int {
	product := 1
	for _, f := range factors {
		if f != 0 && product > math.MaxInt/f {
			product = math.MaxInt
		} else {
			product *= f
		}
	}
	return product
}

// CeilDiv is a/b rounded up; without a sensible b there is no end of parts.
func CeilDiv(a, b int) int {
	if b <= 0 {
		return math.MaxInt
	}
	return a/b + min(a%b, 1)
}

// maxGroups is how many workgroups any device takes in one dimension.
const maxGroups = 65535

// Fold spreads n workgroups over x and y; the last row may be partly idle.
func Fold(n int) [3]uint32 {
	if n <= maxGroups {
		return [3]uint32{uint32(max(n, 0)), 1, 1}
	}
	y := CeilDiv(n, maxGroups)
	return Grid(CeilDiv(n, y), y, 1)
}

// Grid is a grid of three terms.
func Grid(x, y, z int) [3]uint32 {
	var g [3]uint32
	for i, n := range [3]int{x, y, z} {
		g[i] = uint32(min(uint64(max(n, 0)), math.MaxUint32))
	}
	return g
}

// Flag is a bool as a specialization constant.
func Flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// FloatBits is a float as a specialization constant.
func FloatBits(f float32) uint32 { return math.Float32bits(f) }

// SPIRV gives a function that reads an embedded file.
func SPIRV(files embed.FS, name string) func() []byte {
	return func() []byte {
		code, err := files.ReadFile(name)
		if err != nil {
			panic("shaders: " + name + ": the kernel has a body but was not compiled: " + err.Error())
		}
		return code
	}
}
