// Package device opens the hardware that tensors live on. It is the one place that
// knows every backend.
package device

import (
	"fmt"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/tensor"
)

// Options choose how a device works; the zero value is right for most.
type Options struct {
	Threads     int // of the CPU; 0: all
	MemoryLimit int // most bytes of tensors; 0: what is free
}

// Open opens a device by name: "cpu", or "auto" for the best there is. With several
// Options the last counts. One goroutine at a time may use the device.
func Open(name string, options ...Options) (*tensor.Device, error) {
	var o Options
	if n := len(options); n > 0 {
		o = options[n-1]
	}
	switch name {
	case "auto", "cpu":
		b, err := cpu.Open(cpu.Options{Threads: o.Threads, MemoryLimit: o.MemoryLimit})
		if err != nil {
			return nil, fmt.Errorf("device %q: %w", name, err)
		}
		return tensor.NewDevice(b), nil
	}
	return nil, fmt.Errorf("device %q: want auto or cpu", name)
}
