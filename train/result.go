package train

import (
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/tokenizer"
)

// saveResult writes what is trained into a folder: the adapter, or the whole model with
// its tokenizer and how it generates.
func (r *run) saveResult(dir string) error {
	if r.adapter != nil {
		return r.adapter.Save(dir)
	}
	if err := r.trainer.Model.Save(dir); err != nil {
		return err
	}
	if err := tokenizer.CopyTokenizer(r.cfg.tokenizerPath(), dir); err != nil {
		return err
	}
	if dir == r.cfg.Out { // checkpoints are folders of files alone
		if err := r.copyTemplates(); err != nil {
			return err
		}
	}
	if c := r.trainer.Model.Config; r.cfg.Model == "" {
		return tokenizer.WriteGeneration(dir, c.BOS, c.EOS)
	}
	eos := int32(-1)
	if r.ends.eos != nil {
		eos = *r.ends.eos
	}
	return tokenizer.CopyGeneration(r.cfg.Model, dir, eos)
}

// copyTemplates puts the chat templates that are chosen by name beside a whole model.
func (r *run) copyTemplates() error {
	if r.adapter != nil {
		return nil
	}
	return tokenizer.CopyNamedTemplates(r.cfg.tokenizerPath(), r.cfg.Out)
}

// copyResult copies a checkpoint's result, file by file.
func copyResult(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == stateFile || e.Name() == optimizerFile || !e.Type().IsRegular() {
			continue
		}
		if err := atomicfile.CopyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
