// Package testdevice opens the devices that tests run on, so that the same tests hold for every backend.
package testdevice

import (
	"os"
	"os/exec"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/tensor"
)

// Open opens the device called Name for a test, with so many threads (0: all) if it is the CPU. A scope
// owns all that the test makes, so that what is live can be counted; both end with the test.
func Open(t testing.TB, threads int) *tensor.Device {
	t.Helper()
	return open(t, Name(), threads)
}

// CPU is Open on the CPU, whatever Name says.
func CPU(t testing.TB, threads int) *tensor.Device {
	t.Helper()
	return open(t, "cpu", threads)
}

func open(t testing.TB, name string, threads int) *tensor.Device {
	t.Helper()
	b, err := device.OpenBackend(name, device.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return On(t, b)
}

// On is Open on a backend of the test's own.
func On(t testing.TB, b tensor.Backend) *tensor.Device {
	t.Helper()
	d := tensor.NewDevice(b)
	scope := d.Scope()
	t.Cleanup(func() {
		scope.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

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
