package shaders_test

import (
	"fmt"

	_ "github.com/agora-ml/agora/ops" // has Agora's kernels
	"github.com/agora-ml/agora/shaders"
)

// What a backend knows of a kernel that it is to run: its contract and, for a GPU, its SPIR-V.
func ExampleFind() {
	k, ok := shaders.Find("rms_norm")
	fmt.Println(k.Name, ok, k.Sig)
	for i, a := range k.Args {
		fmt.Printf("%s: letter %c, written %v, optional %v\n", k.Bindings[i], a.Letter, a.Written, a.Optional)
	}
	fmt.Println(k.TileNames, k.Tiles[0][:len(k.TileNames)], len(k.SPIRV()) > 0)
	// Output:
	// rms_norm true TS?=TU
	// y: letter T, written true, optional false
	// rstd: letter S, written true, optional true
	// x: letter T, written false, optional false
	// w: letter U, written false, optional false
	// [group] [64] true
}
