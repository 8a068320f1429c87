package multilora_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
)

// Three modules of rank 8 stand beside every linear layer; the model itself is frozen.
func ExampleAttach() {
	d, err := device.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	model, err := llama.Load(context.Background(), d, "../testdata/golden/llama-gqa", llama.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	adapter, err := multilora.Attach(model, multilora.Defaults(), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(adapter.Layers()), "layers, the first", adapter.Layers()[0])

	dir, err := os.MkdirTemp("", "adapter")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := adapter.Save(dir); err != nil {
		log.Fatal(err)
	}
	adapter.Detach()
	again, err := multilora.Open(model, dir, multilora.Options{}) // Agora's form, PEFT's, or a GGUF file
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Config().Method, again.Config().TotalRank())
	// Output:
	// 14 layers, the first model.layers.0.self_attn.q_proj
	// multilora 24
}
