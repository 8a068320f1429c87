//go:build !(cgo && (linux || windows || moltenvk) && (amd64 || arm64))

package vulkan

import (
	"errors"
	"runtime"

	"github.com/agora-ml/agora/tensor"
)

// Compiled reports whether this binary has the Vulkan backend at all.
const Compiled = false

// errUnavailable says why this binary has no Vulkan.
var errUnavailable = errors.New(why())

func why() string {
	switch {
	case runtime.GOOS == "darwin":
		return "this binary was built without MoltenVK: CGO_ENABLED=1 go build -tags moltenvk"
	case runtime.GOOS != "linux" && runtime.GOOS != "windows":
		return "there is no Vulkan backend on " + runtime.GOOS
	case runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64":
		return "there is no Vulkan backend on " + runtime.GOARCH
	}
	return "this binary was built without cgo: CGO_ENABLED=1 go build, with a C compiler"
}

// Devices lists the devices; here it says why there are none.
func Devices() ([]Info, error) { return nil, errUnavailable }

// Open opens a device; here it says why there is none.
func Open(Options) (tensor.Backend, error) { return nil, errUnavailable }
