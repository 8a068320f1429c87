// Package kernels is the contracts of this program's kernels, the .comp files, and what gen makes
// of them. The shaders are compiled with any glslc; without one, the contracts alone are enough
// for the CPU.
package kernels

//go:generate go run github.com/agora-ml/agora/shaders/gen -package kernels -dir . -glslc glslc
