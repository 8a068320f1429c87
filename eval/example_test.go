package eval_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
)

func ExampleMeasurePerplexity() {
	d, err := device.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	model, err := llama.Load(context.Background(), d, "../testdata/golden/llama-gqa", llama.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := tokenizer.Load("../tokenizer/testdata/bytes.json")
	if err != nil {
		log.Fatal(err)
	}
	p, err := eval.MeasurePerplexity(context.Background(), model, tok, "Once upon a time", eval.TextOptions{Window: 64})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Counted, p.Perplexity > 100) // random weights
	// Output: 13 true
}
