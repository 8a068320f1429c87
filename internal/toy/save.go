package toy

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/tokenizer"
)

// What Save writes.
const (
	ModelFolder     = "model" // in Hugging Face's form
	TrainFile       = "data/train.jsonl"
	TestFile        = "data/test.jsonl"
	LoRAFolder      = "lora"
	MultiLoRAFolder = "multilora"
)

// savedRows is how many rows train.jsonl has.
const savedRows = 4000

// Save writes a new folder that every command can be tried on: the base model, rows of
// the new tasks to train on and those that were scored, and the best adapter of each
// method. The folder appears whole or not at all; one that holds something is an error.
func (r *Result) Save(dir string) error {
	return atomicfile.WriteFolder(dir, func(dir string) error {
		model := filepath.Join(dir, ModelFolder)
		if err := r.Model.Save(model); err != nil {
			return err
		}
		if err := saveTokenizer(model, r.Model.Config.MaxPositions); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(dir, "data"), 0o777); err != nil {
			return err
		}
		train := rows(NewTasks, savedRows, stream(r.seed, forAdapters))
		if err := saveRows(filepath.Join(dir, TrainFile), train); err != nil {
			return err
		}
		var test []Row
		for _, t := range NewTasks {
			test = append(test, t.testRows(r.seed, r.Report.TestRows)...)
		}
		if err := saveRows(filepath.Join(dir, TestFile), test); err != nil {
			return err
		}
		r.LoRA.Base, r.MultiLoRA.Base = ModelFolder, ModelFolder
		if err := r.LoRA.Save(filepath.Join(dir, LoRAFolder)); err != nil {
			return err
		}
		return r.MultiLoRA.Save(filepath.Join(dir, MultiLoRAFolder))
	})
}

func saveRows(path string, rows []Row) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		for _, r := range rows {
			if err := e.Encode(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func saveTokenizer(dir string, positions int) error {
	file, err := synthetic.TokenizerJSON(characters())
	if err != nil {
		return err
	}
	config, err := synthetic.TokenizerConfigJSON(positions)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{tokenizer.JSONFile: file, tokenizer.ConfigFile: config} {
		err := atomicfile.WriteFile(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := w.Write(append(content, '\n'))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
