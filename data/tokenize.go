package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// Loss is what tokens of a row the loss is on. A text is one answer as a whole.
type Loss string

const (
	// LossAnswers counts answers, and what ends them.
	LossAnswers Loss = "answers"
	// LossAll counts every token. Of answers that are judged it counts the prompt of the chosen one.
	LossAll Loss = "all"
)

// Losses lists every Loss, the default first.
func Losses() []Loss { return []Loss{LossAnswers, LossAll} }

// TokenizeOptions say how rows become sequences.
type TokenizeOptions struct {
	MaxTokens int            // positions of a sequence
	Loss      Loss           // "": LossAnswers
	Truncate  Truncate       // "": TruncateSplit for text, TruncateEnd for other rows
	Template  *chat.Template // of the model, for rows of chat
	// SpecialTokens is what those become that a prompt, an answer or a text spells; "":
	// letters. In a chat they always are letters, but for what the template writes.
	SpecialTokens tokenizer.SpecialTokens
}

// Validate returns an error for the first option that is invalid.
func (o TokenizeOptions) Validate() error {
	if o.MaxTokens < 1 {
		return fmt.Errorf("max-tokens %d: want at least 1", o.MaxTokens)
	}
	if o.Loss != "" {
		if err := oneOf("loss", o.Loss, Losses()); err != nil {
			return err
		}
	}
	if o.Truncate != "" {
		if err := oneOf("truncate", o.Truncate, Truncations()); err != nil {
			return err
		}
	}
	return o.SpecialTokens.Validate()
}

// Counts are what became of rows.
type Counts struct {
	Rows      int `json:"rows"`       // read
	Cut       int `json:"cut"`        // rows that are there, but not with all of their tokens
	Split     int `json:"split"`      // rows that became several sequences
	Dropped   int `json:"dropped"`    // rows left out: too long for TruncateDrop, or nothing in them counts
	CutTokens int `json:"cut_tokens"` // of the rows cut
	Sequences int `json:"sequences"`
	Tokens    int `json:"tokens"`  // of the sequences
	Counted   int `json:"counted"` // of these in the loss
	Bad       int `json:"bad"`     // rows that could not be read and were passed over; not among Rows

	Spelled Spelled `json:"special_tokens_spelled"`
}

// Spelled counts rows whose prompt, answer or text spells a special token. Those of chat are
// not among them: what is said there is text.
type Spelled struct {
	Rows  int    `json:"rows"`
	First string `json:"first,omitempty"` // the first token spelled, for a message
}

// Note says that the tokens are read as letters, where they are; "" if there is nothing
// to say.
func (s Spelled) Note(special tokenizer.SpecialTokens) string {
	switch {
	case s.Rows == 0 || special == tokenizer.SpecialParse:
		return ""
	case s.Rows == 1:
		return fmt.Sprintf("1 row spells special tokens such as %s in plain text: they are read as letters; "+
			"--special-tokens parse reads them as tokens", s.First)
	}
	return fmt.Sprintf("%d rows spell special tokens such as %s in plain text: they are read as letters; "+
		"--special-tokens parse reads them as tokens", s.Rows, s.First)
}

func (c Counts) String() string {
	return fmt.Sprintf("%d rows gave %d sequences of %d tokens, %d of them in the loss; %d rows cut (%d tokens), %d "+
		"split, %d dropped",
		c.Rows, c.Sequences, c.Tokens, c.Counted, c.Cut, c.CutTokens, c.Split, c.Dropped)
}

// Tokenize turns rows into sequences of at most MaxTokens positions, in their order.
//
// A prompt and its answer are BOS, the prompt, the answer, EOS. They are encoded each by
// itself: the prompt's ids are those that generation will start from, whatever the
// answer, and the answer's ids decoded alone are the answer; but one that begins with white
// space is encoded as it stands behind the prompt, where the prompt's ids stay the same. A text is BOS, the text,
// EOS. With SpecialTokens parsed, BOS in front and EOS at the end are not put where the row
// spells them itself. A chat is what the template makes of it, and nothing more; the answers
// in it are the assistant's turns. A tokenizer without EOS can teach no answer its end and is
// an error, unless the template ends answers by a special token. What has the weight 0 does
// not count. A row without a counted token
// is left out. When ctx ends, Tokenize returns its error after the rows at hand.
func Tokenize(ctx context.Context, tok tokenizer.Tokenizer, rows []Row, o TokenizeOptions) ([]Sequence, Counts, error) {
	if tok == nil {
		return nil, Counts{}, errors.New("data: want a tokenizer, got nil")
	}
	counts := Counts{Rows: len(rows)}
	if err := o.Validate(); err != nil {
		return nil, counts, fmt.Errorf("data: %w", err)
	}
	type result struct {
		parts   []Sequence
		lost    int    // positions
		spelled string // a special token
		err     error
	}
	all := make([]result, len(rows))
	var next atomic.Int64
	var failed atomic.Bool
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(rows)) {
		workers.Go(func() {
			for !failed.Load() && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(rows) {
					return
				}
				r := &all[i]
				r.spelled = spelledIn(tok, rows[i])
				if r.parts, r.lost, r.err = o.sequences(tok, rows[i]); r.err != nil {
					failed.Store(true)
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil && !failed.Load() {
		return nil, counts, fmt.Errorf("data: tokenizing: %w", err)
	}
	var seqs []Sequence
	for i, r := range all {
		switch {
		case r.err != nil: // the first one: rows before it were all begun
			return nil, counts, fmt.Errorf("data: %s: %w", rows[i].Source, r.err)
		case len(r.parts) == 0:
			counts.Dropped++
		case r.lost > 0:
			counts.Cut++
			counts.CutTokens += r.lost
		}
		if len(r.parts) > 1 {
			counts.Split++
		}
		if r.spelled != "" {
			counts.Spelled.Rows++
			counts.Spelled.First = cmp.Or(counts.Spelled.First, r.spelled)
		}
		for _, s := range r.parts {
			counts.Tokens += s.Tokens()
			counts.Counted += s.Counted()
		}
		seqs = append(seqs, r.parts...)
	}
	counts.Sequences = len(seqs)
	return seqs, counts, nil
}

// sequences are what becomes of one row, and how many of its positions are lost.
func (o TokenizeOptions) sequences(tok tokenizer.Tokenizer, r Row) (parts []Sequence, lost int, err error) {
	if r.Uncounted {
		return nil, 0, nil
	}
	if r.Judgment != Unjudged && o.Truncate == TruncateSplit {
		return nil, 0, errSplitAnswer
	}
	withPrompt := o.Loss == LossAll && r.Judgment == Chosen
	if r.Judgment != Unjudged {
		o.Loss = LossAnswers
	}
	e, err := o.encode(tok, r)
	if err != nil {
		return nil, 0, err
	}
	if withPrompt {
		e.countPrompt()
	}
	if r.Rejected != nil {
		worse, err := o.encode(tok, *r.Rejected)
		if err != nil {
			return nil, 0, err
		}
		parts, lost = o.pair(e, worse)
	} else {
		parts, lost = o.parts(e, r.Format)
	}
	for i := range parts {
		for s := &parts[i]; s != nil; s = s.Rejected {
			s.Source, s.Task, s.HeldOut, s.Judgment = r.Source, r.Task, r.HeldOut, r.Judgment
			if s != &parts[i] {
				s.Judgment = Rejected
			}
		}
	}
	return parts, lost, nil
}

// parts cuts a row of one answer.
func (o TokenizeOptions) parts(e encoded, format Format) (parts []Sequence, lost int) {
	policy := o.Truncate
	switch {
	case policy == "" && format == FormatText:
		policy = TruncateSplit
	case policy == "":
		policy = TruncateEnd
	}
	parts = e.cut(o.MaxTokens, policy)
	lost = e.positions()
	for _, s := range parts {
		lost -= len(s.IDs)
	}
	return parts, lost
}

// encode makes tokens of a row, of the better answer where it is a pair.
func (o TokenizeOptions) encode(tok tokenizer.Tokenizer, r Row) (e encoded, err error) {
	if e, err = o.encodeForm(tok, r); err != nil {
		return e, err
	}
	if bos, ok := tok.BOS(); ok && len(e.ids) > 0 && e.ids[0] == bos {
		e.head = 1
	}
	if o.Loss == LossAll && !r.IsChat() {
		for t := range e.target {
			e.target[t] = true
		}
	}
	return e, nil
}

func (o TokenizeOptions) encodeForm(tok tokenizer.Tokenizer, r Row) (encoded, error) {
	switch {
	case r.IsChat():
		return encodeChat(tok, o.Template, r, o.Loss)
	case r.Format == FormatText && r.Text == "":
		return encoded{}, nil // not even its end is to be learned
	}
	var prompt, answer []int32
	var begins, ends bool // as the row itself spells it
	if r.Format == FormatText {
		answer, begins, ends = tokenizer.EncodeText(tok, r.Text, o.SpecialTokens)
	} else {
		var early bool
		prompt, begins, _ = tokenizer.EncodeText(tok, r.Prompt, o.SpecialTokens)
		answer, early, ends = tokenizer.EncodeText(tok, r.Answer, o.SpecialTokens)
		begins = begins || early && len(prompt) == 0
		answer = behind(tok, prompt, answer, r, o.SpecialTokens)
	}
	if bos, ok := tok.BOS(); ok && !begins {
		prompt = append([]int32{bos}, prompt...)
	}
	eos, ok := tok.EOS()
	switch {
	case ok && !ends:
		answer = append(answer, eos)
	case !ok && r.Format != FormatText:
		return encoded{}, errors.New("want a token that ends an answer (EOS), got none in the tokenizer's files and " +
			"in the model's (--eos-token)")
	}
	e := promptAndAnswer(prompt, answer)
	if r.Format == FormatText {
		e.last = len(e.ids) // all of it may be cut
	}
	return e, nil
}

// behind is the answer's ids behind the prompt's. An answer that begins with white space is encoded as it stands
// there, as evaluations ask for it: alone, many tokenizers would put one more space in front of it.
func behind(tok tokenizer.Tokenizer, prompt, alone []int32, r Row, special tokenizer.SpecialTokens) []int32 {
	if first, _ := utf8.DecodeRuneInString(r.Answer); !unicode.IsSpace(first) || len(prompt) == 0 {
		return alone
	}
	whole, _, _ := tokenizer.EncodeText(tok, r.Prompt+r.Answer, special)
	if len(whole) <= len(prompt) || !slices.Equal(whole[:len(prompt)], prompt) { // tokens that reach over the border
		return alone
	}
	return whole[len(prompt):]
}

// spelledIn is a special token that a row spells, "" if none.
func spelledIn(tok tokenizer.Tokenizer, r Row) string {
	for _, text := range []string{r.Prompt, r.Answer, r.Text} { // a chat has none of them
		if spelling, ok := tokenizer.SpelledSpecial(tok, text); ok {
			return spelling
		}
	}
	if r.Rejected != nil {
		return spelledIn(tok, *r.Rejected)
	}
	return ""
}
