package tensor

import (
	"maps"
	"runtime"
	"runtime/debug"
)

// Arithmetic is a backend that knows what decides the bits of its results, beside the
// kernels and their arguments.
type Arithmetic interface {
	// Arithmetic is that by name: the driver, the instructions, the shaders in use.
	Arithmetic() map[string]string
}

// Arithmetic is everything about hardware, driver, build and environment that two devices
// must have in common to compute the same bits, by name: "device" and "architecture" of every
// one, and what its backend adds.
func (d *Device) Arithmetic() map[string]string {
	all := map[string]string{"device": d.Name(), "architecture": architecture()}
	if b, ok := d.b.(Arithmetic); ok {
		maps.Copy(all, b.Arithmetic())
	}
	return all
}

// architecture is the processor that Go compiled for, and its level: from amd64's v3 on,
// and on others, Go multiplies and adds with one rounding.
func architecture() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return runtime.GOARCH
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOAMD64", "GOARM64", "GOPPC64", "GORISCV64", "GOARM", "GO386", "GOMIPS", "GOMIPS64":
			return runtime.GOARCH + " " + s.Value
		}
	}
	return runtime.GOARCH
}
