package data_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/tokenizer"
)

// Rows of a file become sequences of token ids, and these batches, in which the loss is on answers
// alone: labels are -100 elsewhere.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "agora")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "sums.jsonl")
	text := `{"prompt": "1+1=", "completion": "2"}` + "\n" + `{"prompt": "1+2=", "completion": "3"}` + "\n"
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		log.Fatal(err)
	}
	tok, err := tokenizer.LoadFor("../tokenizer/testdata/bytes.json", tokenizer.Options{EOS: "</s>"}) // a token a byte
	if err != nil {
		log.Fatal(err)
	}

	rows, _, err := data.Read(ctx, []string{file}, data.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	sequences, counts, err := data.Tokenize(ctx, tok, rows, data.TokenizeOptions{MaxTokens: 64})
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(sequences, data.LoaderOptions{Rows: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer loader.Close()
	batch := loader.Next()
	fmt.Println(counts.Rows, "rows of", rows[0].Format)
	fmt.Println(batch.Rows, "sequences,", batch.Counted(), "tokens in the loss")
	// Output:
	// 2 rows of completion
	// 2 sequences, 4 tokens in the loss
}
