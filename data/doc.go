// Package data turns files of text into batches of token ids: read, split off the held
// out, tokenize, shuffle, pack or pad.
//
//	rows, fields, err := data.Read(ctx, []string{"alpaca_data.json.gz", "chats.jsonl"}, data.ReadOptions{})
//	seqs, counts, err := data.Tokenize(ctx, tok, rows, data.TokenizeOptions{MaxTokens: 512, Template: template})
//	seqs, held := data.HoldOut(seqs, 500)
//	loader, err := data.NewLoader(seqs, data.LoaderOptions{Rows: 4, Pack: 512, Seed: seed})
//	defer loader.Close()
//	batch := loader.Next()
package data

import (
	"fmt"

	"github.com/agora-ml/agora/tokenizer/chat"
)

// Row is one row of the data, before any tokenizer has seen it. Its format says which of
// the fields it has; a Row without one is a prompt and an answer.
type Row struct {
	Source Source
	Format Format
	Task   int // of a Mixture
	// HeldOut is a row of the split ReadOptions.HeldOutSplit: not to be trained on.
	HeldOut bool

	Prompt, Answer string         // alpaca (in its prompt) and completion
	Messages       []chat.Message // chat
	Tools          string         // chat: a list in JSON of the tools that may be called; "": none
	Text           string         // text

	// Judgment is what somebody has said of the answer, which is Answer or the last message.
	Judgment Judgment
	// Rejected is the worse answer to the same prompt, where the row is a pair; nil: none.
	Rejected *Row

	// Uncounted is a row of weight 0: nothing of it is in the loss.
	Uncounted bool
	// UncountedMessages tells the Messages of weight 0; nil if there are none.
	UncountedMessages []bool
}

// IsChat reports whether the row is messages for a chat template.
func (r Row) IsChat() bool { return r.Format == FormatChat || r.Messages != nil }

// Source is where a row stands.
type Source struct {
	File string `json:"file"`
	Row  int    `json:"row,omitempty"` // from 1; 0: the file is one document
}

// String names the row in messages.
func (s Source) String() string {
	if s.Row == 0 {
		return s.File
	}
	return fmt.Sprintf("%s row %d", s.File, s.Row)
}
