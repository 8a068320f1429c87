//go:build race

package train

// The race detector keeps memory of its own for all that was ever touched.
const raceDetector = true
