package learn_test

import (
	"fmt"
	"log"
	"slices"

	"github.com/agora-ml/agora/tokenizer/learn"
)

// BPE learns the words that come often, and keeps bytes for what it has never seen.
func ExampleBPE() {
	texts := slices.Repeat([]string{"the cat sat on the mat", "the cat sat"}, 10)
	const controlsAndBytes = 3 + 256
	v, err := learn.BPE(slices.Values(texts), learn.Options{Vocabulary: controlsAndBytes + 10 + 9, Coverage: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Pieces[:3])
	fmt.Println(v.Pieces[controlsAndBytes:])
	// Output:
	// [<unk> <s> </s>]
	// [at he the ▁the cat sat ▁cat ▁sat on ▁ t a e h c s m n o]
}
