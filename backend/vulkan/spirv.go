package vulkan

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Instructions of SPIR-V that declare what workgroups share, by number, and the places of their
// operands (the first word of an instruction is its length and number).
const (
	opTypeBool              = 20 // result
	opTypeInt               = 21 // result, bits
	opTypeFloat             = 22 // result, bits
	opTypeVector            = 23 // result, component type, components
	opTypeArray             = 28 // result, element type, length
	opTypePointer           = 32 // result, storage class, type
	opConstantTrue          = 41 // type, result
	opConstantFalse         = 42
	opConstant              = 43 // type, result, value
	opConstantComposite     = 44 // type, result, constituents
	opSpecConstantTrue      = 48
	opSpecConstantFalse     = 49
	opSpecConstant          = 50
	opSpecConstantComposite = 51
	opSpecConstantOp        = 52 // type, result, operation, operands
	opFunction              = 54 // behind all declarations
	opVariable              = 59 // pointer type, result, storage class
	opDecorate              = 71 // target, decoration, its operands

	decorationSpecID      = 1
	storageClassWorkgroup = 4
)

// Operations on constants that are not a function of two numbers.
const (
	opCompositeExtract = 81  // composite, index
	opLogicalNot       = 168 // operand
	opSelect           = 169 // condition, then, else
)

// operations are those that glslc makes of GLSL's uint and bool, by number.
var operations = map[uint32]func(a, b uint32) uint32{
	128: func(a, b uint32) uint32 { return a + b },
	130: func(a, b uint32) uint32 { return a - b },
	132: func(a, b uint32) uint32 { return a * b },
	134: func(a, b uint32) uint32 { return a / max(b, 1) }, // dividing by 0 has no meaning there
	137: func(a, b uint32) uint32 { return a % max(b, 1) },
	166: func(a, b uint32) uint32 { return a | b }, // bools are 0 and 1
	167: func(a, b uint32) uint32 { return a & b },
	170: func(a, b uint32) uint32 { return truth(a == b) },
	171: func(a, b uint32) uint32 { return truth(a != b) },
	172: func(a, b uint32) uint32 { return truth(a > b) },
	174: func(a, b uint32) uint32 { return truth(a >= b) },
	176: func(a, b uint32) uint32 { return truth(a < b) },
	178: func(a, b uint32) uint32 { return truth(a <= b) },
}

func truth(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// sharedBytes is how much memory a workgroup of a shader shares when its specialization
// constants have these values, by number: its variables of the storage class Workgroup, each
// from a multiple of 16 bytes on.
func sharedBytes(code []byte, constants []uint32) (int, error) {
	d := declarations{
		constants: constants, numbers: map[uint32]uint32{}, sizes: map[uint32]int{}, pointees: map[uint32]uint32{},
		values: map[uint32]uint32{}, parts: map[uint32][]uint32{},
	}
	const header = 5
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	if len(words) < header || words[0] != 0x07230203 {
		return 0, errors.New("the shader is not SPIR-V")
	}
	for words = words[header:]; len(words) > 0; {
		n, op := int(words[0]>>16), words[0]&0xffff
		if n == 0 || n > len(words) {
			return 0, errors.New("the shader is cut off")
		}
		if op == opFunction {
			break
		}
		if err := d.declare(op, words[1:n]); err != nil {
			return 0, err
		}
		words = words[n:]
	}
	return d.shared, nil
}

// declarations are what has been met so far, by result. What is not understood is left out:
// only a shared variable must be.
type declarations struct {
	constants []uint32            // values of the specialization constants
	numbers   map[uint32]uint32   // of the specialization constants
	sizes     map[uint32]int      // of types, in bytes
	pointees  map[uint32]uint32   // types of pointers to shared variables
	values    map[uint32]uint32   // of scalar constants
	parts     map[uint32][]uint32 // of composite constants
	shared    int
}

func (d *declarations) declare(op uint32, x []uint32) error {
	switch op {
	case opDecorate:
		if x[1] == decorationSpecID {
			d.numbers[x[0]] = x[2]
		}
	case opTypeBool:
		d.sizes[x[0]] = 4
	case opTypeInt, opTypeFloat:
		d.sizes[x[0]] = int(x[1]) / 8
	case opTypeVector:
		if size, ok := d.sizes[x[1]]; ok {
			d.sizes[x[0]] = size * int(x[2]+x[2]%2) // three take the room of four
		}
	case opTypeArray:
		size, known := d.sizes[x[1]]
		if n, ok := d.values[x[2]]; ok && known {
			d.sizes[x[0]] = size * int(n)
		}
	case opTypePointer:
		if x[1] == storageClassWorkgroup {
			d.pointees[x[0]] = x[2]
		}
	case opConstantTrue, opSpecConstantTrue:
		d.values[x[1]] = d.special(x[1], 1)
	case opConstantFalse, opSpecConstantFalse:
		d.values[x[1]] = d.special(x[1], 0)
	case opConstant, opSpecConstant:
		d.values[x[1]] = d.special(x[1], x[2])
	case opConstantComposite, opSpecConstantComposite:
		d.parts[x[1]] = x[2:]
	case opSpecConstantOp:
		if v, ok := d.compute(x[2], x[3:]); ok {
			d.values[x[1]] = v
		}
	case opVariable:
		if x[2] != storageClassWorkgroup {
			break
		}
		size, ok := d.sizes[d.pointees[x[0]]]
		if !ok {
			return fmt.Errorf("the size of the shared variable %%%d is not understood", x[1])
		}
		d.shared += (size + 15) &^ 15
	}
	return nil
}

// special is the value of a constant: its own, or that of the specialization constant it is.
func (d *declarations) special(result, own uint32) uint32 {
	if number, ok := d.numbers[result]; ok && int(number) < len(d.constants) {
		return d.constants[number]
	}
	return own
}

// compute is the value of an operation on constants.
func (d *declarations) compute(op uint32, x []uint32) (value uint32, ok bool) {
	switch op {
	case opCompositeExtract:
		if parts := d.parts[x[0]]; int(x[1]) < len(parts) {
			value, ok = d.values[parts[x[1]]]
		}
		return value, ok
	case opLogicalNot:
		value, ok = d.values[x[0]]
		return 1 - value, ok
	case opSelect:
		condition, known := d.values[x[0]]
		value, ok = d.values[x[2-condition&1]]
		return value, ok && known
	}
	f := operations[op]
	if f == nil {
		return 0, false
	}
	a, knowA := d.values[x[0]]
	b, knowB := d.values[x[1]]
	return f(a, b), knowA && knowB
}
