package vulkan_test

import (
	"fmt"
	"log"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/tensor"
)

// The best GPU of this machine, if there is one. Most programs leave the choice to package device.
func ExampleOpen() {
	list, err := vulkan.Devices()
	if err != nil {
		log.Fatal(err) // no driver
	}
	for _, i := range list {
		fmt.Printf("%d: %s (%s)\n", i.Index, i.Name, i.Kind)
	}
	best, err := vulkan.Best(list, false) // no driver that computes on the processor
	if err != nil {
		log.Fatal(err)
	}
	b, err := vulkan.Open(vulkan.Options{Device: best.Name, MemoryLimit: 4 << 30})
	if err != nil {
		log.Fatal(err)
	}
	d := tensor.NewDevice(b)
	defer d.Close()
	fmt.Println(d.Name())
}
