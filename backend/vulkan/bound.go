//go:build vulkan_bindings

package vulkan

// The build with the tag vulkan_bindings is for one test lane: synchronization validation cannot
// follow addresses, so there the kernels (shaders/bound, made by "make bound") find their
// arguments by descriptors, each of which is a range of a buffer.

import "github.com/agora-ml/agora/tensor"

// haveAlternatives: the kernels' alternatives are not compiled for descriptors.
const haveAlternatives = false

// bindingAlignment is where a descriptor may begin, as shaders/include/bound.glsl has it.
const bindingAlignment = 16

// bindings are the arguments of a dispatch, laid out as in vk_command.
type bindings struct {
	n    uint64
	list [12]binding
}

// binding is a range of a buffer; all is 0 for an argument that is nil.
type binding struct{ buffer, at, size uint64 }

func (b *bindings) bind(args []tensor.Arg) {
	b.n = uint64(len(args))
	for i, a := range args {
		if a.IsNil() {
			continue
		}
		buf := a.Buf.(*buffer)
		s := buf.span(a.Offset, a.DType.Bytes(a.N))
		at := (s.from - buf.block.address) &^ (bindingAlignment - 1)
		b.list[i] = binding{buf.block.buffer, at, s.to - buf.block.address - at}
	}
}
