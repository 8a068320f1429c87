// Package testdevice says which device tests of models run on, so that the same tests hold
// for every backend.
package testdevice

import "os"

// Variable names the environment variable with the device's name, as device.Open takes it.
const Variable = "AGORA_TEST_DEVICE"

// Name is the device's name: "cpu", unless the environment says otherwise.
func Name() string {
	if name := os.Getenv(Variable); name != "" {
		return name
	}
	return "cpu"
}
