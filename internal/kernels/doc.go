// Package kernels has the structs of Agora's own kernels, which gen makes of the headers of shaders/*.comp,
// and their SPIR-V. Programs have packages like this for their own (examples/own-kernel).
package kernels

import "github.com/agora-ml/agora/shaders/kernelcode"

//go:generate go run ../../shaders/gen -dir ../../shaders -out .

func spirv(name string) func() []byte { return kernelcode.SPIRV(compiled, folder+"/"+name+".spv") }
