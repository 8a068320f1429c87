// Package data turns rows of text into batches of token ids: read, split off the held
// out, tokenize, shuffle, pad.
//
//	rows, err := data.ReadAlpaca("alpaca_data.json.gz")
//	rows, held := data.Split(rows, 500)
//	seqs, dropped := data.Tokenize(tok, rows, 512)
//	loader, err := data.NewLoader(seqs, 4, seed, 0)
//	defer loader.Close()
//	batch := loader.Next()
package data

// Example is one row: the loss is on the answer, given the prompt.
type Example struct{ Prompt, Answer string }

// Tokenizer is what this package needs of one.
type Tokenizer interface {
	Encode(text string) []int32
	BOS() (id int32, ok bool)
	EOS() (id int32, ok bool)
}
