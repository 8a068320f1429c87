// Package testdevice says which device tests of models run on, so that the same tests hold
// for every backend.
package testdevice

import (
	"os"
	"os/exec"
)

// Variable names the environment variable with the device's name, as device.Open takes it.
const Variable = "AGORA_TEST_DEVICE"

// Name is the device's name: "cpu", unless the environment says otherwise.
func Name() string {
	if name := os.Getenv(Variable); name != "" {
		return name
	}
	return "cpu"
}

// RunnerVariable names the environment variable in which tools/.vk/run leaves its own path.
const RunnerVariable = "AGORA_TEST_RUNNER"

// Command is a program as a process of its own that sees the devices that this one sees.
func Command(program string, args ...string) *exec.Cmd {
	if runner := os.Getenv(RunnerVariable); runner != "" {
		return exec.Command(runner, append([]string{program}, args...)...)
	}
	return exec.Command(program, args...)
}
