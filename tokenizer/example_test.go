package tokenizer_test

import (
	"fmt"
	"log"

	"github.com/agora-ml/agora/tokenizer"
)

// Load takes a model's folder, tokenizer.json, tokenizer.model or a GGUF file.
func ExampleLoad() {
	tok, err := tokenizer.Load("testdata/bytes.json")
	if err != nil {
		log.Fatal(err)
	}
	ids := tok.Encode("Hello, 世界")
	fmt.Println(len(ids), tok.Decode(ids))
	// Output: 13 Hello, 世界
}
