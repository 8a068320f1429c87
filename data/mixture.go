package data

import (
	"fmt"
	"math"
)

// Mixture says how often the rows of each of several tasks are drawn. A training row is drawn by
// chance: first its task, by the shares that the weighting gives, then the next row of that
// task's own epochs, each of which holds every row of the task once.
type Mixture struct {
	Tasks       []MixtureTask
	Weighting   Weighting // "": WeightBySize
	Temperature float64   // of WeightByTemperature, at least 1
	Unit        Unit      // "": Examples
}

// MixtureTask is one task of a Mixture. Sequence.Task is its index.
type MixtureTask struct {
	Name   string
	Weight float64 // for WeightExplicitly, above 0
	// MaxEpochs is how often each row is drawn at most: 0 is without end. A task that has been
	// drawn so often leaves its share to the others, in proportion.
	MaxEpochs float64
}

// Weighting is what the shares of a mixture's tasks are in proportion to.
type Weighting string

const (
	// WeightBySize draws every row as often, as if the tasks were one file.
	WeightBySize Weighting = "size"
	// WeightEqually draws every task as often.
	WeightEqually Weighting = "equal"
	// WeightByTemperature is size^(1/T): T = 1 is WeightBySize, and large T come near to
	// WeightEqually. See Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
	// Text-to-Text Transformer" (2020), section 3.5.2.
	WeightByTemperature Weighting = "temperature"
	// WeightExplicitly takes each task's own Weight.
	WeightExplicitly Weighting = "weights"
)

// Weightings lists every Weighting.
func Weightings() []Weighting {
	return []Weighting{WeightBySize, WeightEqually, WeightByTemperature, WeightExplicitly}
}

// Unit is what the shares of a mixture are shares of.
type Unit string

const (
	Examples Unit = "examples" // sequences
	Tokens   Unit = "tokens"   // all of a sequence, prompts too
)

// Units lists every Unit.
func Units() []Unit { return []Unit{Examples, Tokens} }

// Validate returns an error for the first field that is invalid.
func (m Mixture) Validate() error {
	if len(m.Tasks) == 0 {
		return fmt.Errorf("mixture: want tasks, got none")
	}
	if m.Weighting != "" {
		if err := oneOf("mixture", m.Weighting, Weightings()); err != nil {
			return err
		}
	}
	if m.Unit != "" {
		if err := oneOf("mixture-unit", m.Unit, Units()); err != nil {
			return err
		}
	}
	if t := m.Temperature; m.Weighting == WeightByTemperature && !(t >= 1 && t <= maxTemperature) {
		return fmt.Errorf("mixture-temperature: want 1 to %g, got %v", maxTemperature, t)
	}
	names := map[string]bool{}
	for _, t := range m.Tasks {
		switch {
		case t.Name == "":
			return fmt.Errorf("mixture: want a name of every task, got none")
		case names[t.Name]:
			return fmt.Errorf("mixture: want one task named %q, got two", t.Name)
		case m.Weighting == WeightExplicitly && !(t.Weight > 0 && t.Weight <= maxWeight):
			return fmt.Errorf("mixture: %s: weight: want more than 0, at most %g, got %v", t.Name, maxWeight, t.Weight)
		case !(t.MaxEpochs >= 0 && t.MaxEpochs <= maxEpochs):
			return fmt.Errorf("mixture: %s: max-epochs: want 0 to %g, got %v", t.Name, maxEpochs, t.MaxEpochs)
		}
		names[t.Name] = true
	}
	return nil
}

// Beyond these a share is no number that 32 bits of chance could tell from 0, or a bound none.
const (
	maxTemperature = 1e6
	maxWeight      = 1e6
	maxEpochs      = 1e6
)

// share is what a task of a mixture has.
type share struct {
	sequences []int // by their numbers
	tokens    int
	draws     int // at most; 0: without end
}

// divide finds what each task has of the sequences.
func (m Mixture) divide(seqs []Sequence) ([]share, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	shares := make([]share, len(m.Tasks))
	for i, s := range seqs {
		if s.Task < 0 || s.Task >= len(shares) {
			return nil, fmt.Errorf("mixture: %s: want a task below %d, got %d", s.Source, len(shares), s.Task)
		}
		shares[s.Task].sequences = append(shares[s.Task].sequences, i)
		shares[s.Task].tokens += s.Tokens()
	}
	for t := range shares {
		n := float64(len(shares[t].sequences))
		if n == 0 {
			return nil, fmt.Errorf("mixture: %s: want rows to train on, got none", m.Tasks[t].Name)
		}
		if most := m.Tasks[t].MaxEpochs; most > 0 {
			shares[t].draws = max(1, int(math.Round(most*n)))
		}
	}
	return shares, nil
}

// weight is how often a task is drawn, in proportion to the others.
func (m Mixture) weight(task int, s share) float64 {
	size, mean := float64(len(s.sequences)), float64(s.tokens)/float64(len(s.sequences))
	if m.Unit == Tokens {
		size = float64(s.tokens)
	}
	w := size
	switch m.Weighting {
	case WeightEqually:
		w = 1
	case WeightByTemperature:
		w = math.Pow(size, 1/m.Temperature)
	case WeightExplicitly:
		w = m.Tasks[task].Weight
	}
	if m.Unit == Tokens {
		w /= mean // a share of tokens is the fewer draws the longer the rows are
	}
	return w
}

// Shares are the chances with which a draw is of each task, as long as none has been drawn
// MaxEpochs times.
func (m Mixture) Shares(seqs []Sequence) ([]float64, error) {
	shares, err := m.divide(seqs)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	sum := 0.0
	chances := make([]float64, len(shares))
	for t, s := range shares {
		chances[t] = m.weight(t, s)
		sum += chances[t]
	}
	for t := range chances {
		chances[t] /= sum
	}
	return chances, nil
}

// Draws is how many sequences can be drawn before every task has been drawn MaxEpochs times; 0 is
// without end.
func (m Mixture) Draws(seqs []Sequence) (int, error) {
	shares, err := m.divide(seqs)
	if err != nil {
		return 0, fmt.Errorf("data: %w", err)
	}
	sum := 0
	for _, s := range shares {
		if s.draws == 0 {
			return 0, nil
		}
		sum += s.draws
	}
	return sum, nil
}
