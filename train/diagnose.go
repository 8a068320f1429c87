package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// NonFiniteError is a step whose loss or gradient is no finite number. Parameters and
// optimizer are as they were before it, unless the gradient was finite.
type NonFiniteError struct {
	Step      int // from 1
	Loss      float64
	GradNorm  float64
	LossScale float64  // 0 without
	Kernel    string   // the first that made such a number, with the parameters it read
	Rows      []string // of the data, where it happened
}

func (e *NonFiniteError) Error() string {
	text := fmt.Sprintf("step %d: the loss is %v and the gradient's norm %v", e.Step, e.Loss, e.GradNorm)
	if e.LossScale > 0 {
		text += fmt.Sprintf(" (at loss scale %.0f)", e.LossScale)
	}
	text += ": training has diverged"
	if e.Kernel != "" {
		text += "; the first number that is not finite came from " + e.Kernel
	}
	if len(e.Rows) > 0 {
		const shown = 8
		rows := strings.Join(e.Rows[:min(shown, len(e.Rows))], ", ")
		if more := len(e.Rows) - shown; more > 0 {
			rows += fmt.Sprintf(" and %d more", more)
		}
		text += "; rows: " + rows
	}
	return text
}

// diagnose makes the step's forward and backward pass once more, looks at what every
// kernel writes, and then at each row alone. It leaves no gradient.
func (t *Trainer) diagnose(e *NonFiniteError, batches []data.Batch, counted int) {
	step := t.steps()
	for i, b := range batches {
		if b.Counted() == 0 {
			continue
		}
		counter := uint32(step*len(batches) + i)
		if e.Kernel = t.watched(b, counted, counter); e.Kernel == "" {
			continue
		}
		var guilty []int
		for row := range b.Rows {
			alone := b.Row(row)
			if alone.Counted() > 0 && t.watched(alone, counted, counter) != "" {
				guilty = append(guilty, row)
			}
		}
		for row, sources := range b.Sources {
			if len(guilty) > 0 && !slices.Contains(guilty, row) {
				continue // without one that fails alone, all are named
			}
			for _, s := range sources {
				e.Rows = append(e.Rows, s.String())
			}
		}
		return
	}
}

// watched runs one micro-batch and names the first kernel that writes NaN or +Inf.
// (-Inf is what the statistics of a row without any key are.) A step of preference training is watched as one
// that learns all its answers: the model is the same.
func (t *Trainer) watched(b data.Batch, counted int, randomStep uint32) (first string) {
	names := map[*tensor.Tensor]string{}
	for name, p := range nn.Params(t.Model) {
		names[p.Value] = name
	}
	scope := t.Device.Scope()
	defer scope.Close()
	defer t.Trainable.ZeroGrad()
	var last string
	var written []*tensor.Tensor
	look := func() {
		for _, x := range written {
			if first == "" && !allFinite(x) {
				first = last
			}
		}
	}
	stop := t.Device.Trace(func(k tensor.Kernel, args []*tensor.Tensor) {
		if first != "" {
			return
		}
		look() // what the kernel before has written
		last, written = k.Name(), slices.Clone(tensor.Written(k, args))
		for _, x := range args {
			if name, ok := names[x]; ok {
				last += " with " + name
			}
		}
	})
	defer stop()
	t.backward(b, counted, randomStep)
	look()
	return first
}

// notFinite names what a checkpoint would hold that is not finite: a parameter, a moment; or nothing.
func (t *Trainer) notFinite() (name string, err error) {
	look := func(what string, x *tensor.Tensor) (string, error) {
		values, err := x.Float32s()
		if slices.ContainsFunc(values, func(v float32) bool { return !finite(float64(v)) }) {
			return what, err
		}
		return "", err
	}
	for name, p := range nn.Params(t.Model) {
		if p.Frozen {
			continue
		}
		if name, err := look(name, p.Value); name != "" || err != nil {
			return name, err
		}
	}
	for name, s := range t.Optimizer.StateParts() {
		if s.Own == nil {
			continue
		}
		if name, err := look("the optimizer's "+name, s.Own); name != "" || err != nil {
			return name, err
		}
	}
	return "", nil
}

// allFinite is true also for what is freed already, or cannot be read: somebody else
// complains of that.
func allFinite(x *tensor.Tensor) bool {
	ok := true
	_ = tensor.Catch(func() {
		if !x.DType().IsFloat() {
			return
		}
		values, err := x.Float32s()
		ok = err != nil || !slices.ContainsFunc(values, func(v float32) bool {
			return math.IsNaN(float64(v)) || math.IsInf(float64(v), 1)
		})
	})
	return ok
}
