package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/optim"
)

// A checkpoint is a folder: the result as it is then (an adapter's files, or a model's),
// and beside it what only training needs.
const (
	stateFile     = "state.json"
	optimizerFile = "optimizer.safetensors" // see optim.Optimizer.State
)

// checkpoints is the folder that holds a run's checkpoints, step-000100 and so on. A
// folder of that name is always whole: it is written under another name, synced and
// renamed, and renamed before it is removed.
type checkpoints struct{ dir string }

func (c checkpoints) path(step int) string {
	return filepath.Join(c.dir, stepName(step))
}

// steps lists the checkpoints there are, the oldest first.
func (c checkpoints) steps() ([]int, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var steps []int
	for _, e := range entries {
		if step, ok := parseStep(e.Name()); ok && e.IsDir() {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, err
}

// write makes a checkpoint of what result writes, the trainer's optimizer and s, which learns the files.
func (c checkpoints) write(s *state, t *Trainer, result func(dir string) error) error {
	err := atomicfile.WriteFolder(c.path(s.Step), func(dir string) error {
		if err := result(dir); err != nil {
			return err
		}
		if err := t.writeOptimizer(filepath.Join(dir, optimizerFile)); err != nil {
			return err
		}
		var err error
		if s.Files, err = digestFiles(context.Background(), dir); err != nil {
			return err
		}
		return s.write(filepath.Join(dir, stateFile))
	})
	if err != nil {
		return fmt.Errorf("checkpoint of step %d, nothing of which is kept: %w", s.Step, err)
	}
	return nil
}

// prune removes all checkpoints but the last keep that lie on the schedule, and those of
// the steps in also. What an interruption left between two of them thereby goes; folders that
// are no checkpoints stay.
func (c checkpoints) prune(every, keep int, also ...int) error {
	steps, err := c.steps()
	if err != nil {
		return err
	}
	for _, step := range slices.Backward(steps) {
		scheduled := every > 0 && step%every == 0
		if scheduled && keep > 0 {
			keep--
			continue
		}
		if slices.Contains(also, step) || !c.ours(step) {
			continue
		}
		if err := atomicfile.RemoveFolder(c.path(step)); err != nil {
			return fmt.Errorf("removing an old checkpoint: %w", err)
		}
	}
	return nil
}

// ours reports whether a run has written the folder, which does not only have such a name.
func (c checkpoints) ours(step int) bool {
	s, err := readState(filepath.Join(c.path(step), stateFile))
	return err == nil && s.Step == step
}

// writeOptimizer saves the moments and masters. Processes that have a part of them send it (sendState).
func (t *Trainer) writeOptimizer(path string) error {
	var sources []safetensors.Source
	for name, s := range t.Optimizer.StateParts() {
		sources = append(sources, safetensors.Source{
			Name: name, DType: safetensors.F32, Shape: s.Shape,
			Write: func(out io.Writer) error { return writeParts(out, t.processes(), s) },
		})
	}
	return safetensors.Write(path, nil, sources...)
}

// readOptimizer puts a saved state back.
func readOptimizer(path string, steps int, o *optim.Optimizer) (err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	shapes, known := map[string][]int{}, 0
	for name, s := range o.StateParts() {
		shapes[name] = s.Shape
	}
	err = o.Restore(steps, func(name string) ([]float32, error) {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		if t.DType != safetensors.F32 || !slices.Equal(t.Shape, shapes[name]) {
			return nil, fmt.Errorf("want F32 %v, got %s %v", shapes[name], t.DType, t.Shape)
		}
		known++
		return t.Float32s()
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if n := len(f.Names()); n != known {
		return fmt.Errorf("%s: want %d tensors, got %d", path, known, n)
	}
	return nil
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}
