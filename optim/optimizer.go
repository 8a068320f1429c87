package optim

import (
	"fmt"
	"iter"

	"github.com/agora-ml/agora/tensor"
)

// Rule is how a step moves parameters: AdamW or SGD.
type Rule interface {
	// check says what is wrong with the settings.
	check() error
	// weightDecay is that of blocks that have none of their own.
	weightDecay() float32
	// moments names what is remembered of every parameter between steps.
	moments() []string
	// update runs step t (from 1) on one block.
	update(s step)
}

// step is one step of this process's part of a block, of n elements.
type step struct {
	n                   int
	value, grad, mirror *tensor.Tensor // [n]: masters and gradients, and the parameters if they are not the masters
	t                   int
	lr, weightDecay     float32
	moments             []*tensor.Tensor // each [n] f32, in the order of Rule.moments
	clip                *tensor.Tensor   // [1] or nil
}

// Optimizer moves the parameters of a Trainable by a Rule and remembers its moments.
type Optimizer struct {
	trainable *Trainable
	rule      Rule
	steps     int
	moments   [][]*tensor.Tensor // by block and moment, of this process's part; none where that is empty
}

// New starts an optimizer; its moments are zero.
func New(t *Trainable, rule Rule) (*Optimizer, error) {
	tensor.NotNil("optim.New", "what trains", t)
	tensor.NotNil("optim.New", "a rule", rule)
	if err := rule.check(); err != nil {
		return nil, err
	}
	o := &Optimizer{trainable: t, rule: rule}
	for _, b := range t.blocks {
		var moments []*tensor.Tensor
		for range rule.moments() {
			if b.to > b.from {
				moments = append(moments, t.zeros(b.to-b.from))
			}
		}
		o.moments = append(o.moments, moments)
	}
	return o, t.dev.Err()
}

// Step moves all parameters by their gradients, clipped if ClipByNorm was called since
// the last Step. Where the norm that it found is no finite number, parameters and moments
// stay as they are, bit for bit (see Uncount). The gradients stay: ZeroGrad clears them.
func (o *Optimizer) Step(lr float32) {
	o.steps++
	t := o.trainable
	t.settle()
	for i, b := range t.blocks {
		decay := o.rule.weightDecay()
		if b.group.ownDecay {
			decay = b.group.decay
		}
		if n := b.to - b.from; n > 0 {
			o.rule.update(step{n, b.own(b.value), b.own(b.grad), b.own(b.mirror), o.steps, lr * b.group.lrFactor, decay,
				o.moments[i], t.clip})
		}
		t.division.share(b.stored(), b.ends)
	}
	t.clip = nil
}

// Uncount takes back the count of the last Step, for one that ClipByNorm came before and
// whose GradNorm then turns out to be no finite number: it has moved nothing, and the
// next Step is to be as if it had not been.
func (o *Optimizer) Uncount() {
	if o.steps == 0 {
		tensor.Panicf("optim", "no step to take back")
	}
	o.steps--
}

// Steps is the number of steps made.
func (o *Optimizer) Steps() int { return o.steps }

// State gives what must be saved beside the parameters for training to go on with the
// same bits, in a fixed order: the moments as MOMENT.PARAMETER, and the masters of
// 16-bit parameters as master.PARAMETER. All are f32 in the parameter's shape, and the
// tensors are the living ones: the next Step changes them. The number of steps belongs
// to the state too (Steps).
func (o *Optimizer) State() iter.Seq2[string, *tensor.Tensor] {
	if n := o.trainable.division.size(); n > 1 {
		tensor.Panicf("optim", "the state of an optimizer that %d processes divide: want StateParts", n)
	}
	return func(yield func(string, *tensor.Tensor) bool) {
		for name, s := range o.StateParts() {
			if !yield(name, s.Own.Reshape(s.Shape...)) {
				return
			}
		}
	}
}

// StateParts is State where processes divide it: this one's part of every tensor.
func (o *Optimizer) StateParts() iter.Seq2[string, StatePart] {
	return func(yield func(string, StatePart) bool) {
		for _, e := range o.trainable.entries {
			b := o.trainable.blocks[e.block]
			own := func(k int) *tensor.Tensor {
				if b.from == b.to {
					return nil
				}
				return o.moments[e.block][k]
			}
			for k, moment := range o.rule.moments() {
				if !yield(moment+"."+e.name, b.partOf(own(k), e)) {
					return
				}
			}
			if b.mirror != nil && !yield("master."+e.name, b.partOf(b.value, e)) {
				return
			}
		}
	}
}

// Restore takes back a state: the number of steps and every tensor that State names,
// whole, from read. It writes the masters of 16-bit parameters, and with them the parameters.
// After an error the optimizer and those parameters are of no use.
func (o *Optimizer) Restore(steps int, read func(name string) ([]float32, error)) error {
	if steps < 0 {
		return fmt.Errorf("optim: restoring: %d steps, want at least 0", steps)
	}
	for name, s := range o.StateParts() {
		data, err := read(name)
		if err != nil {
			return fmt.Errorf("optim: restoring %s: %w", name, err)
		}
		if n := tensor.Numel(s.Shape); len(data) != n {
			return fmt.Errorf("optim: restoring %s: want %d numbers for f32%v, got %d", name, n, s.Shape, len(data))
		}
		if s.Own != nil {
			s.Own.SetFloat32s(data[s.From : s.From+s.Own.Numel()])
		}
	}
	for _, b := range o.trainable.blocks {
		if b.to > b.from {
			fillMirror(b.own(b.mirror), b.own(b.value))
		}
		if b.mirror != nil {
			o.trainable.division.share(b.mirror, b.ends)
		}
	}
	o.steps = steps
	return o.trainable.dev.Err()
}
