// Package device opens the hardware that tensors live on. It is the one place that
// knows every backend.
package device

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/debug"
	"github.com/agora-ml/agora/tensor"
)

// Options choose how a device works; the zero value is right for most.
type Options struct {
	Threads     int // of the CPU; 0: all
	MemoryLimit int // most bytes of tensors; 0: what is free

	// RoundActivations is the CPU's (cpu.Options); a GPU rounds nothing.
	RoundActivations bool
	// MatmulPrecision is the CPU's (cpu.Options); a GPU multiplies float32 as it is.
	MatmulPrecision cpu.Precision

	// Notice, if set, gets a line when "auto" has found no GPU and takes the CPU: why, and one that says what the device
	// makes of a MatmulPrecision that is not the highest.
	Notice func(line string)
	// Profile, if set, gets the time of every kernel as a Chrome trace, at Close.
	Profile io.Writer
	// CacheDir keeps what a Vulkan device has compiled; "" means a folder of the user's cache folder.
	CacheDir string
}

// Names are the names that Open takes, in words.
const Names = "auto (the best GPU, else cpu), cpu, vulkan, vulkan:0, or vulkan: and a part of a name or a kind " +
	"(see agora doctor)"

// Open opens a device by name: "cpu"; "vulkan" for the best Vulkan device there is,
// "vulkan:0" for one by its number, "vulkan:radeon" by a part of its name, "vulkan:integrated"
// by its kind; or "auto" for the best GPU that Vulkan finds and else the CPU: a Vulkan driver that
// computes on the processor is never taken for one. One goroutine at a time may use the device. With
// AGORA_DEBUG=1 or 2 in the environment it prints what its kernels take to the standard error.
func Open(name string) (*tensor.Device, error) { return OpenWith(name, Options{}) }

// OpenWith is Open with options.
func OpenWith(name string, o Options) (*tensor.Device, error) {
	b, err := OpenBackend(name, o)
	if err != nil {
		return nil, err
	}
	d := tensor.NewDevice(b)
	if err := debug.Attach(d, os.Stderr); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// OpenBackend opens the backend of the device that OpenWith opens, for programs that wrap or measure it.
func OpenBackend(name string, o Options) (tensor.Backend, error) {
	open := openCPU
	kind, which, _ := strings.Cut(name, ":")
	switch {
	case name == "auto":
		open = openAuto
	case name == "cpu":
	case kind == "vulkan":
		open = func(o Options) (tensor.Backend, error) { return openVulkan(which, o) }
	default:
		return nil, fmt.Errorf("device %q: want %s", name, Names)
	}
	if o.MatmulPrecision == "" {
		o.MatmulPrecision = cpu.Highest
	}
	if _, err := cpu.ParsePrecision(string(o.MatmulPrecision)); err != nil {
		return nil, fmt.Errorf("device %q: precision of products: %w", name, err)
	}
	b, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("device %q: %w", name, err)
	}
	if o.MatmulPrecision == cpu.High && o.Notice != nil {
		o.Notice(precisionLine(b))
	}
	return b, nil
}

// precisionLine says what a backend makes of cpu.High.
func precisionLine(b tensor.Backend) string {
	const asked = "--matmul-precision high: "
	c := cpu.Describe()
	switch {
	case b.Name() != "cpu":
		return asked + "want a CPU with AMX, got " + b.Name() + ": its products of f32 are as by highest"
	case c.GEMMParts != "":
		return asked + "products of f32 are computed by two parts of bf16 each, on " + c.GEMMParts
	case c.Tiles != "":
		return asked + "products of f32 are as by highest, in " + c.GEMM + ": " + c.Tiles
	}
	return asked + "want a CPU with AMX, got one with " + c.GEMM + ": products of f32 are as by highest"
}

// RoundsActivations reports whether Options.RoundActivations has an effect on a device: it is the CPU, with the
// instructions for it.
func RoundsActivations(d *tensor.Device) bool {
	return d.Name() == "cpu" && cpu.Describe().Integers != ""
}

// MatmulPrecision is how a device computes products of float32: cpu.High only where that was asked for and is done.
func MatmulPrecision(d *tensor.Device) cpu.Precision {
	return cpu.Precision(cmp.Or(d.Arithmetic()["matmul-precision"], string(cpu.Highest)))
}

func openCPU(o Options) (tensor.Backend, error) {
	return cpu.Open(cpu.Options{Threads: o.Threads, MemoryLimit: o.MemoryLimit, Profile: o.Profile,
		RoundActivations: o.RoundActivations, MatmulPrecision: o.MatmulPrecision})
}

func openVulkan(which string, o Options) (tensor.Backend, error) {
	return vulkan.Open(vulkan.Options{Device: which, MemoryLimit: o.MemoryLimit, Profile: o.Profile,
		CacheDir: o.CacheDir})
}

// openAuto takes the best GPU, or the CPU and says why.
func openAuto(o Options) (tensor.Backend, error) {
	b, err := openGPU(o)
	if err == nil {
		return b, nil
	}
	if o.Notice != nil {
		o.Notice("no GPU, so the CPU computes: " + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return openCPU(o)
}

func openGPU(o Options) (tensor.Backend, error) {
	list, err := vulkan.Devices()
	if err != nil {
		return nil, err
	}
	best, err := vulkan.Best(list, false)
	if err != nil {
		return nil, err
	}
	b, err := openVulkan(fmt.Sprint(best.Index), o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s cannot be opened", best.Name), err)
	}
	return b, nil
}
