package compare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// A run of hours is saved on its way, beside its folder, and goes on from there: what trains, the
// optimizer's state, and what was measured. The rows are drawn anew up to there.
const (
	partEnd   = ".part"
	stateFile = "state.safetensors"
)

// saveAfter is how long a run goes on without being saved, until its next measurement.
var saveAfter = 5 * time.Minute

// savePart saves a run after a measurement.
func savePart(dir string, r TrialResult, l *learner) error {
	if err := removePart(dir); err != nil {
		return err
	}
	return save(dir+partEnd, r, func(part string) error {
		var sources []safetensors.Source
		for name, value := range l.state() {
			data, err := value.Float32s()
			if err != nil {
				return err
			}
			sources = append(sources, safetensors.FromFloat32s(name, value.Shape(), data).Source())
		}
		return safetensors.Write(filepath.Join(part, stateFile), nil, sources...)
	})
}

func removePart(dir string) error {
	if _, err := os.Stat(dir + partEnd); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return atomicfile.RemoveFolder(dir + partEnd)
}

// state gives all that a run's next step depends on beside its rows, in a fixed order.
func (l *learner) state() func(yield func(string, *tensor.Tensor) bool) {
	return func(yield func(string, *tensor.Tensor) bool) {
		for name, p := range nn.Params(l.trainer.Model) {
			if !p.Frozen && !yield("value."+name, p.Value) {
				return
			}
		}
		for name, value := range l.trainer.Optimizer.State() {
			if !yield("optimizer."+name, value) {
				return
			}
		}
	}
}

// loadPart puts a run where it was saved, and gives the step that it was after; 0: it was not.
func loadPart(dir string, r *TrialResult, l *learner) (step int, err error) {
	saved := *r
	if done, err := load(dir+partEnd, &saved); !done || err != nil || len(saved.Curve) == 0 {
		return 0, err
	}
	step = saved.Curve[len(saved.Curve)-1].Step
	f, err := safetensors.Open(filepath.Join(dir+partEnd, stateFile))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	read := func(name string, shape []int) ([]float32, error) {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		if shape != nil && !slices.Equal(t.Shape, shape) {
			return nil, fmt.Errorf("%s: tensor %s: want the shape %v, got %v", f.Path(), name, shape, t.Shape)
		}
		return t.Float32s()
	}
	for name, p := range nn.Params(l.trainer.Model) {
		if p.Frozen {
			continue
		}
		data, err := read("value."+name, p.Value.Shape())
		if err != nil {
			return 0, err
		}
		p.Value.SetFloat32s(data)
	}
	err = l.trainer.Optimizer.Restore(step, func(name string) ([]float32, error) {
		return read("optimizer."+name, nil)
	})
	if err != nil {
		return 0, err
	}
	for range step * l.rows {
		l.next()
	}
	*r = saved
	return step, nil
}
