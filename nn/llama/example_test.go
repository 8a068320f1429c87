package llama_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// A folder in Hugging Face's form, or a GGUF file, continues a prompt of token ids.
func ExampleModel_Generate() {
	d, err := device.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	model, err := llama.Load(context.Background(), d, "../../testdata/golden/llama-gqa",
		llama.LoadOptions{DType: tensor.F32})
	if err != nil {
		log.Fatal(err)
	}
	prompt := []int32{1, 5, 9} // begins with the model's BOS
	var ids []int32
	for id, err := range model.Generate(context.Background(), prompt, llama.GenerateOptions{MaxTokens: 5}) {
		if err != nil {
			log.Fatal(err)
		}
		ids = append(ids, id)
	}
	fmt.Println(len(ids), "tokens of", model.Config.Vocab)
	// Output: 5 tokens of 320
}
