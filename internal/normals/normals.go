// Package normals has normal random numbers for tensors of any size, again and again from the start: to draw every
// weight of a large model would take minutes. The numbers are no round ones, so that a device's arithmetic units work
// as with those of a trained model.
package normals

import "github.com/agora-ml/agora/random"

// Len is how many numbers there are: a whole number of blocks of 256, and no multiple of a matrix's width, so that the
// rows of a matrix differ.
const Len = 256 * 4099

// Values are Len numbers of this deviation.
func Values(deviation float32, seed uint64) []float32 {
	values := make([]float32, Len)
	r := random.NewStream(seed, random.Test, 0, 0)
	for i := range values {
		values[i] = deviation * float32(r.Normal())
	}
	return values
}

// Next is where the numbers of the next tensor begin, behind those of one that ended before at.
func Next(at int) int { return (at + 255) / 256 * 256 % Len }
