package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/encoding/atomicfile"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/optim"
)

// A checkpoint is a folder: the result as it is then (an adapter's files, or a model's),
// and beside it what only training needs.
const (
	stateFile     = "state.json"
	optimizerFile = "optimizer.safetensors" // see optim.Optimizer.State
)

// state is what a run must know to go on, beside weights and optimizer. All else (order
// of rows, packing, dropout, the learning rate) is a function of the step and the settings.
type state struct {
	Format      string             `json:"format"`
	Version     int                `json:"version"`
	Step        int                `json:"step"`              // steps made
	Loss        float64            `json:"loss"`              // of the last step
	Data        string             `json:"data"`              // fingerprint of the sequences
	Inputs      []input            `json:"inputs,omitempty"`  // what they were made of, and the model; older versions wrote none
	Rates       map[string]float64 `json:"rates,omitempty"`   // of the next step: the settings in heights
	Changes     []RateChange       `json:"changes,omitempty"` // of those, while the run went on
	Measured    int                `json:"measured"`          // step of the last measurement; -1: none
	HeldOut     *float64           `json:"held_out,omitempty"`
	Before      *float64           `json:"held_out_before,omitempty"`
	Best        *bestResult        `json:"best,omitempty"`
	WithoutGain int                `json:"without_gain"` // measurements since the best one
	LossScale   *LossScale         `json:"loss_scale,omitempty"`
}

// bestResult is the measurement with the lowest held-out loss so far.
type bestResult struct {
	Step        int     `json:"step"`
	HeldOutLoss float64 `json:"held_out_loss"`
}

func newState() state { return state{Format: stateFormat, Version: stateVersion, Measured: -1} }

const (
	stateFormat  = "agora-checkpoint"
	stateVersion = 1
	maxState     = 16 << 20 // bytes: more than any state.json has
)

// checkpoints is the folder that holds a run's checkpoints, step-000100 and so on. A
// folder of that name is always whole: it is written under another name, synced and
// renamed, and renamed before it is removed.
type checkpoints struct{ dir string }

func (c checkpoints) path(step int) string {
	return filepath.Join(c.dir, fmt.Sprintf("step-%06d", step))
}

// steps lists the checkpoints there are, the oldest first.
func (c checkpoints) steps() ([]int, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var steps []int
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "step-")
		if step, err := strconv.Atoi(digits); ok && err == nil && e.IsDir() && c.path(step) == filepath.Join(c.dir, e.Name()) {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, err
}

// write makes a checkpoint of what result writes, the optimizer and s.
func (c checkpoints) write(s state, o *optim.Optimizer, result func(dir string) error) error {
	err := atomicfile.WriteFolder(c.path(s.Step), func(dir string) error {
		if err := result(dir); err != nil {
			return err
		}
		if err := writeOptimizer(filepath.Join(dir, optimizerFile), o); err != nil {
			return err
		}
		return writeJSON(filepath.Join(dir, stateFile), s)
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

// ours reports a folder that a run has written, and not one that only has such a name.
func (c checkpoints) ours(step int) bool {
	s, err := readState(filepath.Join(c.path(step), stateFile))
	return err == nil && s.Step == step
}

// last reads the state of the newest checkpoint; ok is false where there is none.
func (c checkpoints) last() (s state, ok bool, err error) {
	steps, err := c.steps()
	if err != nil || len(steps) == 0 {
		return state{}, false, err
	}
	s, err = readState(filepath.Join(c.path(steps[len(steps)-1]), stateFile))
	if err == nil && s.Step != steps[len(steps)-1] {
		err = fmt.Errorf("%s: field step: want that of the folder, got %d", c.path(steps[len(steps)-1]), s.Step)
	}
	return s, err == nil, err
}

func readState(path string) (state, error) {
	text, err := regular.Read(path, maxState)
	if err != nil {
		return state{}, err
	}
	s, err := parseState(text)
	if err != nil {
		return state{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func parseState(text []byte) (state, error) {
	var s state
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&s); err != nil {
		return state{}, fmt.Errorf("want a JSON object: %w", err)
	}
	switch {
	case s.Format != stateFormat:
		return state{}, fmt.Errorf("field format: want %q, got %q", stateFormat, shortened(s.Format))
	case s.Version != stateVersion:
		return state{}, fmt.Errorf("field version: want %d, got %d", stateVersion, s.Version)
	case s.Step < 0:
		return state{}, fmt.Errorf("field step: want at least 0, got %d", s.Step)
	case s.WithoutGain < 0:
		return state{}, fmt.Errorf("field without_gain: want at least 0, got %d", s.WithoutGain)
	case s.LossScale.skipped() > s.Step:
		return state{}, fmt.Errorf("field loss_scale.skipped: want at most the %d steps, got %d", s.Step, s.LossScale.Skipped)
	}
	if s.LossScale != nil {
		if err := s.LossScale.check(); err != nil {
			return state{}, fmt.Errorf("field loss_scale: %w", err)
		}
	}
	return s, nil
}

// writeOptimizer saves the moments and masters.
func writeOptimizer(path string, o *optim.Optimizer) error {
	var sources []safetensors.Source
	for name, t := range o.State() {
		sources = append(sources, safetensors.Source{
			Name: name, DType: safetensors.F32, Shape: t.Shape(),
			Write: func(w io.Writer) error {
				data, err := t.RawBytes()
				if err == nil {
					_, err = w.Write(data)
				}
				return err
			},
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
	for name, t := range o.State() {
		shapes[name] = t.Shape()
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
