package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// BaseResult is what a base does before any method has changed it.
type BaseResult struct {
	Spec       BaseSpec    `json:"spec"`
	Parameters int         `json:"parameters"`
	Own        TaskScore   `json:"own"` // mean over the tasks that it has learned; empty of a model that is there
	New        []TaskScore `json:"new"` // of the tasks that are to be taught
}

// BaseSpec decides the bits of a base.
type BaseSpec struct {
	Version   int         `json:"version"` // see specVersion
	Base      Base        `json:"base"`    // without its seeds
	Seed      uint64      `json:"seed,omitempty"`
	Tasks     []TaskFiles `json:"tasks,omitempty"`
	BatchRows int         `json:"batch_rows"`
	TestRows  int         `json:"test_rows"`
}

// specVersion grows when what a specification stands for changes: other tasks by the same name, other
// steps. What was made before is then made again.
const specVersion = 1

// bases are all that an experiment has.
func (e *Experiment) bases() []BaseSpec {
	b := e.Base
	b.Seeds = nil
	spec := BaseSpec{
		Version: specVersion, Base: b, Tasks: e.Tasks, BatchRows: e.Train.BatchRows, TestRows: e.Train.TestRows,
	}
	if e.Base.Model != "" {
		return []BaseSpec{spec}
	}
	var all []BaseSpec
	for _, spec.Seed = range e.Base.Seeds {
		all = append(all, spec)
	}
	return all
}

func (s store) base(b BaseSpec) string {
	return filepath.Join(s.dir, basesFolder, digest(b, "seed", fmt.Sprint(b.Seed)))
}

// model is where a base's model lies.
func (s store) model(b BaseSpec) string {
	if b.Base.Model != "" {
		return b.Base.Model
	}
	return filepath.Join(s.base(b), modelFolder)
}

// open loads a base.
func (s store) open(ctx context.Context, d *tensor.Device, b BaseSpec) (*llama.Model, error) {
	var o llama.LoadOptions
	for text, to := range map[string]*tensor.DType{b.Base.DType: &o.DType, b.Base.ComputeDType: &o.ComputeDType} {
		if text == "" {
			continue
		}
		dtype, err := tensor.ParseDType(text)
		if err != nil {
			return nil, err
		}
		*to = dtype
	}
	return llama.Load(ctx, d, s.model(b), o)
}

// makeBase makes a base, or measures the one that is there.
func (x *runner) makeBase(ctx context.Context, spec BaseSpec) (err error) {
	d, err := x.options.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	result := BaseResult{Spec: spec}
	if spec.Base.Model != "" {
		model, err := x.store.open(ctx, d, spec)
		if err != nil {
			return err
		}
		result.Parameters = parameters(model)
		if result.New, err = x.material.scores(ctx, model, x.experiment.rowsAtOnce(), spec.TestRows); err != nil {
			return err
		}
		return save(x.store.base(spec), result, nil)
	}
	f, err := synthetic.Find(spec.Base.Generated)
	if err != nil {
		return err
	}
	own, err := generated(f, f.Base, 1, ownRows)
	if err != nil {
		return err
	}
	model, err := llama.New(d, f.Model(), spec.Seed)
	if err != nil {
		return err
	}
	result.Parameters = parameters(model)
	trainable, err := optim.Gather(d, model)
	if err != nil {
		return err
	}
	recipe := x.experiment.Train
	recipe.Schedule = "cosine"
	recipe.Warmup = min(recipe.Warmup, spec.Base.Steps)
	t, err := newLearner(model, trainable, recipe, spec.Base.Steps, spec.Base.LR, spec.Seed, own)
	if err != nil {
		return err
	}
	for range spec.Base.Steps {
		if _, err := t.step(ctx); err != nil {
			return err
		}
	}
	scores, err := own.scores(ctx, model, atOnce, 0)
	if err != nil {
		return err
	}
	result.Own = TaskScore{
		Task: "its own tasks", Loss: Mean(scores, Loss), Exact: Mean(scores, Exact), Letters: Mean(scores, Letters),
	}
	if result.New, err = x.material.scores(ctx, model, atOnce, 0); err != nil {
		return err
	}
	return save(x.store.base(spec), result, func(dir string) error {
		return saveModel(filepath.Join(dir, modelFolder), model, f)
	})
}

// ownRows is how many rows of each of its own tasks a base is measured on.
const ownRows = 16

// saveModel writes a folder that every command takes.
func saveModel(dir string, model *llama.Model, f synthetic.Family) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := model.Save(dir); err != nil {
		return err
	}
	file, err := f.Tokenizer()
	if err != nil {
		return err
	}
	config, err := synthetic.TokenizerConfigJSON(model.Config.MaxPositions)
	if err != nil {
		return err
	}
	return errors.Join(
		atomicfile.WriteFile(filepath.Join(dir, tokenizer.JSONFile), writeBytes(file)),
		atomicfile.WriteFile(filepath.Join(dir, tokenizer.ConfigFile), writeBytes(config)),
	)
}
