//go:build (!amd64 && !arm64) || noasm

package vec

// Slices of 16 bits are widened before: see Narrow.

func hasNarrow() bool { return false }

func addNarrow(Half, []uint16, []uint16, []uint16)                                      {}
func swigluNarrow(Half, []uint16, []uint16, []uint16)                                   {}
func swigluGradNarrow(Half, []uint16, []uint16, []uint16, []uint16, []uint16)           {}
func sumSquaresNarrow(Half, []uint16) float64                                           { return 0 }
func dot3Narrow(Half, []uint16, []float32, []uint16) float64                            { return 0 }
func scaleMulNarrow(Half, []uint16, []uint16, []float32, float32)                       {}
func rmsNormGradNarrow(Half, []uint16, []uint16, []uint16, []float32, float32, float32) {}
func rmsNormGradPlusNarrow(Half, []uint16, []uint16, []uint16, []float32, []uint16, float32, float32) {
}

func rotateNarrow(Half, []uint16, []uint16, []uint16, []uint16, []float32, []float32, float32, int) {}
