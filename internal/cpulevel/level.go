// Package cpulevel says which of the processor's instructions the CPU's kernels use: those of all that
// they know and the processor has that are fastest there, or others where the environment asks for them. The choice is made once, when
// the program starts, because it decides the bits of results.
package cpulevel

import (
	"fmt"
	"os"
	"strings"
)

// Variable names the environment variable that asks for a level by its name, for the bits of
// another processor.
const Variable = "AGORA_CPU"

// Level is a set of instructions; each has those before it of the same processors.
type Level int

// The levels. Plain is what the Go compiler makes of loops.
const (
	Plain Level = iota
	AVX2        // with FMA and F16C
	AVX512
	AVX512BF16 // with VDPBF16PS
	AMX        // with TDPBF16PS, of tiles
	NEON       // of arm64
	NEONBF16   // with BFMMLA
)

var names = [...]string{"plain", "avx2", "avx512", "avx512bf16", "amx", "neon", "neonbf16"}

func (l Level) String() string { return names[l] }

var chosen, problem = choose(os.Getenv(Variable), supported(), fastest(supported()), levels)

// Supported is all that the processor and this build have.
func Supported() Level { return supported() }

// Chosen is the level of this process.
func Chosen() Level { return chosen }

// Err says why Variable cannot be obeyed, or nil. It asks for tiles where Variable does.
func Err() error {
	if problem == nil && chosen == AMX && os.Getenv(Variable) == AMX.String() {
		if err := Tiles(); err != nil {
			return fmt.Errorf("%s: want %s: %w", Variable, AMX, err)
		}
	}
	return problem
}

// choose reads what is asked for, of these levels, where the processor and the build have so much. What is used unasked may be
// less than they have.
func choose(name string, has, unasked Level, levels []Level) (Level, error) {
	if name == "" {
		return unasked, nil
	}
	var known []string
	for _, l := range levels {
		known = append(known, l.String())
		switch {
		case l.String() != name:
		case l > has:
			return unasked, fmt.Errorf("%s: want what the processor and this build have, at most %s, got %s", Variable,
				has, name)
		default:
			return l, nil
		}
	}
	return unasked, fmt.Errorf("%s: want %s, got %q", Variable, strings.Join(known, " or "), name)
}
