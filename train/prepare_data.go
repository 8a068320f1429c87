package train

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"unsafe"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// tokenized is the data as read.
type tokenized struct {
	seqs       []data.Sequence
	counts     data.Counts
	tokenizer  tokenizer.Tokenizer
	vocabulary int    // ids of the tokenizer
	warning    string // about the tokenizer
	bad        string // about rows passed over
	passedOver string // about files of other splits
	ends       ends
	asksTime   bool // rows of chat depend on the time that their template is told
}

// ends are the tokens that begin and end a text; nil: none. A run without data, as a plan or
// a Trainer is, has no ends to teach.
type ends struct{ bos, eos *int32 }

func endsOf(tok tokenizer.Tokenizer) (e ends) {
	if id, ok := tok.BOS(); ok {
		e.bos = &id
	}
	if id, ok := tok.EOS(); ok {
		e.eos = &id
	}
	return e
}

// teach puts the ends that a model is trained with into its configuration, if that does not
// name them: it will be asked with them.
func (e ends) teach(c *llama.Config) {
	if e.eos != nil {
		c.EndBy(*e.eos)
	}
	if e.bos != nil && c.BOS < 0 {
		c.BOS = *e.bos
	}
}

// readData reads and tokenizes the rows.
func (c *Config) readData(ctx context.Context) (t tokenized, err error) {
	tok, err := c.loadTokenizer()
	if err != nil {
		return t, err
	}
	t.tokenizer = tok
	t.vocabulary, t.ends = tok.VocabSize(), endsOf(tok)
	embeddings, err := c.embeddings()
	if err != nil {
		return t, err
	}
	if t.warning, err = tokenizer.CheckFits(tok, embeddings); err != nil {
		return t, c.wrongf("tokenizer", "%s: %w", c.tokenizerPath(), err)
	}
	read, err := c.ReadRows(ctx)
	if err != nil {
		return t, err
	}
	rows := read.Rows
	var template *chat.Template
	if c.Template != "" || slices.ContainsFunc(rows, data.Row.IsChat) {
		if template, err = c.loadTemplate(tok); err != nil {
			return t, err
		}
		t.asksTime = template.AsksTime()
	}
	t.seqs, t.counts, err = data.Tokenize(ctx, tok, rows, data.TokenizeOptions{
		MaxTokens: c.MaxTokens, Loss: data.Loss(c.Loss), Truncate: data.Truncate(c.Truncate), Template: template,
		SpecialTokens: tokenizer.SpecialTokens(c.SpecialTokens),
	})
	if err != nil {
		return t, err
	}
	t.counts.Bad, t.bad, t.passedOver = read.Bad, read.BadNote(), read.PassedOverNote()
	return t, data.CheckIDs(tok, t.seqs, embeddings)
}

// embeddings is the size of the model's vocabulary.
func (c *Config) embeddings() (int, error) {
	if c.FromScratch != "" {
		shape, err := llama.ReadShape(c.FromScratch)
		return shape.Vocab, err
	}
	shape, err := llama.ReadConfig(c.Model)
	return shape.Vocab, err
}

// beforehand does what comes before the first step: when ctx ends, the run has not begun.
func beforehand(ctx context.Context, f func() error) error {
	err := mapped.Guard(f)
	if err != nil && ctx.Err() != nil {
		return notBegun(ctx)
	}
	return err
}

// prepareData reads, tokenizes and splits the rows.
func (r *run) prepareData(ctx context.Context) error {
	cfg := r.cfg
	if cfg.TemplateDate == "" {
		cfg.TemplateDate = startDate(r.start)
	}
	var read tokenized
	err := beforehand(ctx, func() (err error) {
		read, err = cfg.readData(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if read.warning != "" {
		r.progress.Say(read.warning)
	}
	if read.asksTime {
		r.cfg.TemplateDate = cfg.TemplateDate
	}
	if err := r.split(read); err != nil {
		return err
	}
	r.loading = data.LoaderOptions{
		Rows: cfg.BatchRows, Seed: cfg.Seed, Workers: cfg.Loaders, First: r.state.Step * cfg.Accumulate,
		Mixture: cfg.TaskMixture(),
	}
	r.loading.Pack = cfg.PackedTokens()
	epoch, err := data.FirstEpoch(r.seqs, r.loading)
	if err != nil {
		return err
	}
	of := ""
	if cfg.HeldOutSplit != "" {
		of = " of the split " + printable.Name(cfg.HeldOutSplit)
	}
	r.progress.Say(fmt.Sprintf("%d sequences in %d rows of batches, filled to %.0f %%; %d held out%s", len(r.seqs),
		epoch.Rows, 100*epoch.Fill, r.summary.HeldOutRows, of))
	if err := r.cfg.countSteps(epoch.Rows); err != nil {
		return err
	}
	return r.checkMixture()
}

// countSteps turns Epochs into Steps, for so many rows of batches in each.
func (c *Config) countSteps(rows int) error {
	if c.Epochs == 0 {
		return nil
	}
	steps := math.Ceil(c.Epochs * float64(rows) / (float64(c.BatchRows) * float64(c.Accumulate)))
	if steps*float64(c.Accumulate) > math.MaxUint32 { // as Validate says of Steps
		return c.wrongf("epochs", "want at most %d micro-batches in all, got %v epochs of %d rows",
			uint32(math.MaxUint32),
			c.Epochs, rows)
	}
	c.Steps = max(1, int(steps))
	if c.WarmupSteps == AutoWarmup {
		c.WarmupSteps = min(10, c.Steps/2)
	}
	return nil
}

// holdOut parts sequences to train on from those that the loss is measured on.
func (c *Config) holdOut(read tokenized) (seqs, held []data.Sequence, err error) {
	seqs, apart := data.SplitHeldOut(read.seqs)
	n := len(seqs)
	switch {
	case n == 0:
		return nil, nil, c.wrongf("data", "want a row with a counted token within %d tokens (max-tokens), got none of %d",
			c.MaxTokens, read.counts.Rows)
	case c.HeldOutSplit != "":
		_, held = data.HoldOut(apart, c.HeldOut)
		if len(held) == 0 {
			err = c.wrongf("held-out-split", "want a row of the split %.40q with a counted token within %d tokens "+
				"(max-tokens), got none", c.HeldOutSplit, c.MaxTokens)
		}
		return seqs, held, err
	case c.HeldOut >= n:
		return nil, nil, c.wrongf("held-out", "want fewer than the data's %d sequences with a counted token within %d "+
			"tokens, got %d", n, c.MaxTokens, c.HeldOut)
	}
	if seqs, held = data.HoldOut(seqs, c.HeldOut); len(held) == 0 && c.HeldOut > 0 {
		err = c.wrongf("held-out", "want rows that are not all alike, got none to hold out %d of: rows that the "+
			"model sees alike, and the sequences of one, stay together", c.HeldOut)
	}
	return seqs, held, err
}

// seenNote says how many of the held-out sequences are trained on, too; "": none.
func (c *Config) seenNote(seqs, held []data.Sequence) string {
	if c.HeldOutSplit == "" {
		return ""
	}
	n := data.Seen(seqs, held)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d held-out sequences are among those to train on, too: the split %s is not apart from "+
		"train", n, len(held), printable.Name(c.HeldOutSplit))
}

// split holds out rows, and compares the data with those of the checkpoint, if there is one.
func (r *run) split(read tokenized) error {
	cfg := &r.cfg
	r.tokenizer = read.tokenizer
	r.vocabulary, r.ends = read.vocabulary, read.ends
	seqs, heldSeqs, err := cfg.holdOut(read)
	if err != nil {
		return err
	}
	for _, s := range read.seqs {
		r.longest = max(r.longest, len(s.IDs))
		if s.Rejected != nil {
			r.longest = max(r.longest, len(s.Rejected.IDs))
		}
		r.tokens += s.Tokens()
	}
	r.seqs, r.heldOut = seqs, nil
	for _, task := range byTask(heldSeqs) {
		r.heldOut = append(r.heldOut, heldOut{task[0].Task, data.Batches(task, cfg.BatchRows)})
	}
	s := &r.summary
	s.Data, s.TrainRows, s.HeldOutRows = read.counts, len(seqs), len(heldSeqs)
	r.progress.Say(read.counts.String())
	if note := cfg.imbalance(seqs); note != "" {
		r.progress.Say(note)
	}
	for _, note := range []string{read.bad, read.passedOver, cfg.seenNote(seqs, heldSeqs)} {
		if note != "" {
			r.progress.Say(note)
		}
	}
	if note := read.counts.Spelled.Note(tokenizer.SpecialTokens(cfg.SpecialTokens)); note != "" {
		r.progress.Say(note)
	}
	if print := fingerprint(seqs, heldSeqs); r.state.Data == "" {
		r.state.Data = print
	} else if old := r.state.Data; old != print {
		r.state.Data = print
		err := fmt.Errorf("the data have changed since the checkpoint of step %d: want fingerprint %s, got %s",
			r.state.Step, old, print)
		return r.judge.differs(err, "rows", old, print)
	}
	return nil
}

// tokenizerPath is the folder or file that the tokenizer is read from.
func (c *Config) tokenizerPath() string {
	if c.Tokenizer != "" {
		return c.Tokenizer
	}
	return c.Model
}

// loadTokenizer reads the tokenizer.
func (c *Config) loadTokenizer() (tokenizer.Tokenizer, error) {
	return tokenizer.LoadFor(c.tokenizerPath(), tokenizer.Options{Model: cmp.Or(c.Model, c.FromScratch),
		EOS: c.EOSToken})
}

// loadTemplate gives the chat template, at the date that it is told.
func (c *Config) loadTemplate(tok tokenizer.Tokenizer) (*chat.Template, error) {
	if c.Template != "" {
		t, err := chat.Named(c.Template, tok)
		if err != nil {
			return nil, c.wrong("template", err)
		}
		return t, nil
	}
	dir := c.tokenizerPath()
	if !isFolder(dir) && !gguf.IsFile(dir) {
		dir = filepath.Dir(dir)
	}
	t, err := chat.Load(dir, tok)
	if err != nil || c.TemplateDate == "" {
		return t, err
	}
	date, err := chat.ParseDate(c.TemplateDate)
	if err != nil {
		return nil, c.wrong(templateDate, err)
	}
	return t.At(date), nil
}

// fingerprint tells sequences from others.
func fingerprint(groups ...[]data.Sequence) string {
	h := sha256.New()
	for _, seqs := range groups {
		for i := range seqs {
			for s := &seqs[i]; s != nil; s = s.Rejected {
				h.Write([]byte(s.Judgment.String()))                         // nothing where nobody has judged
				_ = binary.Write(h, binary.LittleEndian, uint64(len(s.IDs))) // a hash never fails
				for _, ids := range [][]int32{s.IDs, s.Labels} {
					h.Write(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(ids))), 4*len(ids)))
				}
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
