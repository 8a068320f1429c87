//go:build !amd64 || noasm

package vec

// Keys and values in 16 bits are widened before.

func dotHeadsF16([]float32, int, []float32, []uint16, HeadShape) bool  { return false }
func dotHeadsBF16([]float32, int, []float32, []uint16, HeadShape) bool { return false }
func addHeadsF16([]float32, int, []float32, []uint16, HeadShape) bool  { return false }
func addHeadsBF16([]float32, int, []float32, []uint16, HeadShape) bool { return false }
