//go:build !vulkan_bindings

package vulkan

import "github.com/agora-ml/agora/tensor"

const haveAlternatives = true

// bindings are for a build of the tests, see bound.go.
type bindings struct{}

func (*bindings) bind([]tensor.Arg) {}
