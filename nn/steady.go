package nn

import "github.com/agora-ml/agora/tensor"

// Steady is a Layer, or a Beside, whose kernels can be recorded and run again without it (tensor.Device.Record). A type that
// embeds one that is Steady has to be so itself.
type Steady interface {
	// Steady returns a function that reports whether, without a tape and for so many rows of type x, the same kernels would
	// still run on the same tensors. It also brings up to date what is kept of the parameters' values, in the same memory.
	// nil: that cannot be told.
	Steady(x tensor.DType, rows int) (still func() bool)
}
