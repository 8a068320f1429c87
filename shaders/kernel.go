// Package shaders says what a kernel is: the header of a .comp file (its parameters, bindings and grid)
// generates one Go struct, which the operation that asks for the kernel, its function for the CPU and the
// Vulkan backend all use. README.md describes the header.
//
// A program adds a kernel of its own by writing its .comp file in the folder of a package, and there
//
//	//go:generate go run github.com/agora-ml/agora/shaders/gen -package kernels -dir . -glslc glslc
//
// What that writes registers the kernel here; examples/own-kernel is a whole program. A backend finds in
// [Find] what it has to run. Agora's own kernels are written in this folder, and their structs are in a package
// that only Agora needs.
package shaders

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Tile is the sizes a kernel is launched with, in the order of its //tile line
// (unused: 0); the first is the number of invocations of a workgroup. It is an
// unnamed type, so that nobody must import this package for it.
type Tile = [4]uint32

// Kernel is one dispatch of one kernel: a generated struct with its parameters.
type Kernel interface {
	// Name is the kernel's name: "rms_norm" is shaders/rms_norm.comp and backend/cpu/rms_norm.go.
	Name() string
	// Grid is the number of workgroups for a tile. A grid of one term is folded over x and y,
	// at most 65,535 each; a 0 means that there is nothing to do.
	Grid(t Tile) [3]uint32
	// Push appends the parameters, as they stand in the push constants after the bindings' addresses.
	// The error names the kernel, the field and a value that is negative or does not fit in 32 bits,
	// or the binding that has too many elements for 32-bit indices.
	Push(b []byte) ([]byte, error)
	// Consts are the specialization constants that belong to the meaning, in order of declaration.
	Consts() []uint32
	// Lens appends the elements of every binding, in the order of the contract; -1 where the header does not say.
	Lens(to []int) []int
}

// Desc describes a kernel without its parameters.
type Desc struct {
	Name      string
	Doc       string            // the header's comment
	Sig       string            // a letter a binding, written ones before "="; "?": may be nil, "+": read as well
	Args      []Binding         // Sig, parsed: Register does that
	Bindings  []string          // the bindings' names, in the order of Sig
	InPlace   [][2]int          // pairs {output, input} that may be the same memory; all others must not overlap
	Tiles     []Tile            // sizes to choose from, small ones first; the first works everywhere
	Software  []Tile            // instead of them on a device that is a processor, whose subgroups are narrow; nil: the same
	Wide      []Tile            // larger ones, for a device that has registers for them
	Lean      []Tile            // one in the place of larger ones, for calls on a device that may have few registers
	TileNames []string          // their names
	LeanFor   func(Kernel) bool // says for which calls Lean is
	SPIRV     func() []byte     // nil while the shader has no body

	Alternatives []Alternative // the most special first
}

// Alternative is another shader for the same kernel, for some devices or some calls.
type Alternative struct {
	Name     string // "matmul_coopmat" is shaders/matmul_coopmat.comp
	Doc      string
	Tiles    []Tile            // as in Desc
	Software []Tile            // as in Desc
	Wide     []Tile            // as in Desc
	Calls    string            // those that it is for, as in its header: "m<=8 !trans_a trans_b"; "": all
	Takes    func(Kernel) bool // says whether a call is one of those; nil: they all are
	// Aligned: of those the ones whose floats of the letters T to W begin at multiples of 16 bytes.
	Aligned bool
	Thin    bool // of those, products whose other forms have few workgroups, one or two beside or below each other
	// Lean is a tile whose rows two subgroups of 32 share, for some calls on a device that may have few registers.
	Lean    []Tile
	LeanFor func(Kernel) bool // says for which
	// Narrow are those of its calls that have subgroups of 32 on a device that had better have narrow ones.
	Narrow []Narrow
	// Workgroup: its cooperative matrices are whole workgroups' (VK_NV_cooperative_matrix2).
	Workgroup bool
	SPIRV     map[string]func() []byte // by the type of the cooperative matrices that it needs: f16, bf16; "" without any
}

// Narrow is some calls of an alternative, for subgroups of 32.
type Narrow struct {
	Takes func(Kernel) bool
	Tiles []Tile // in the place of the alternative's; nil: the same
}

var registered struct {
	sync.RWMutex
	kernels map[string]Desc
}

// Find returns a kernel's description by name.
func Find(name string) (Desc, bool) {
	registered.RLock()
	defer registered.RUnlock()
	d, ok := registered.kernels[name]
	return d, ok
}

// All returns every kernel that the program has, by name: those of Agora that it links, and its own.
func All() []Desc {
	registered.RLock()
	defer registered.RUnlock()
	return slices.SortedFunc(maps.Values(registered.kernels),
		func(a, b Desc) int { return strings.Compare(a.Name, b.Name) })
}

// Register adds a kernel; gen writes the calls (README.md, "A kernel of your own"). Its function for the
// CPU is registered there. A name twice panics.
func Register(d Desc) {
	if err := d.parse(); err != nil {
		panic(err)
	}
	registered.Lock()
	defer registered.Unlock()
	if _, ok := registered.kernels[d.Name]; ok {
		panic("shaders: Register: there is a kernel " + d.Name + " already")
	}
	if registered.kernels == nil {
		registered.kernels = map[string]Desc{}
	}
	registered.kernels[d.Name] = d
}

// Binding is one argument of a kernel.
//
// The letter is its storage type: T, U, V and W are any float type, the same
// for all arguments with that letter in one call (W alone may be packed); S is
// a statistic or a gradient, f32 (f64 when the CPU checks gradients); I is i32.
type Binding struct {
	Letter   byte
	Written  bool
	Read     bool // an input, or an output marked "+"
	Optional bool // may be nil
}

// parseSig reads a signature such as "TS?=TW" or "S+S?+=SS?".
func parseSig(sig string) ([]Binding, error) {
	outputs, inputs, ok := strings.Cut(sig, "=")
	if !ok || outputs == "" {
		return nil, fmt.Errorf("shaders: signature %q: want outputs, then =", sig)
	}
	var list []Binding
	for i, c := range []byte(outputs + inputs) {
		written := i < len(outputs)
		switch {
		case strings.IndexByte("TUVWSI", c) >= 0:
			list = append(list, Binding{Letter: c, Written: written, Read: !written})
		case c == '?' && i > 0 && i != len(outputs) && !list[len(list)-1].Optional:
			list[len(list)-1].Optional = true
		case c == '+' && i > 0 && written && !list[len(list)-1].Read:
			list[len(list)-1].Read = true
		default:
			return nil, fmt.Errorf("shaders: signature %q: %q is out of place", sig, c)
		}
	}
	return list, nil
}

// parse fills in Args.
func (d *Desc) parse() (err error) {
	if d.Args, err = parseSig(d.Sig); err != nil {
		return err
	}
	if len(d.Args) != len(d.Bindings) || len(d.Tiles) == 0 {
		return fmt.Errorf("shaders: %s: %d names for the %d bindings of %q, %d tiles: want as many names as bindings, "+
			"and a tile", d.Name, len(d.Bindings), len(d.Args), d.Sig, len(d.Tiles))
	}
	return nil
}
