package train

import (
	"cmp"
	"fmt"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// AutoDType is the storage type of activations, and of weights that no file has quantized, that the dtype "auto" stands for
// with a model (llama.ReadShape) on a device: device.AutoDType, but for families that f16 is too narrow for
// (llama.Config.FitsF16), which have f32 in its place. Why says so of what the device decides, and is empty where it decides
// nothing.
func AutoDType(d *tensor.Device, model string) (dt tensor.DType, why string) {
	dt, why = device.AutoDType(d)
	if dt != tensor.F16 {
		return dt, why
	}
	if shape, err := llama.ReadShape(model); err == nil && !shape.FitsF16() { // an error is for whoever loads it
		return tensor.F32, fmt.Sprintf("f32: %s multiplies matrices of f16 alone, whose range activations of %s leave", d.Name(),
			shape.ModelType)
	}
	return dt, why
}

// ChooseDType decides for a device what the dtype auto stands for (AutoDType), as Run does before it begins, and says why:
// a 16-bit type becomes compute-dtype or, of a model that trains as a whole, dtype. It does nothing where one of
// them was chosen.
func (c *Config) ChooseDType(d *tensor.Device) (why string) {
	if !c.autoDType() {
		return ""
	}
	dt, why := AutoDType(d, cmp.Or(c.Model, c.FromScratch))
	switch {
	case dt == tensor.F32:
	case c.full():
		c.DType = dt
	default:
		c.ComputeDType = dt.String()
	}
	return why
}

// autoDType reports whether the device is to choose.
func (c *Config) autoDType() bool { return c.AsStored && c.DType == tensor.F32 && c.ComputeDType == "" }

// keepDType takes what auto stood for when the run began: it may go on where auto would be something else.
func (c *Config) keepDType(began Config) {
	switch {
	case !c.autoDType():
	case began.asStored():
		c.ComputeDType = began.ComputeDType
	case c.full() && began.DType.Is16Bit():
		c.DType = began.DType
	}
}
