package train

import (
	"math"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
)

// By hand: 2e12 operations at 1e12 a second; 2.5e9 bytes at 8e9 bits a second are 2.5 s; what passes a link for the sum of the
// gradients, 16e6 bytes, is 16 ms.
func TestTimeOfAStep(t *testing.T) {
	p := Plan{Operations: 2e12, Processes: 4, Gathered: 2_500_000_000, sums: 16_000_000, Step: 1000}
	got, err := p.Time(Machine{Compute: 1e12, Network: 8e9})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"compute": {got.Compute, 2}, "weights": {got.Weights, 2.5}, "sums": {got.Sums, 0.016}, "step": {got.Step, 2.516}, "apart": {got.Apart, 4.516},
		"lost": {got.Lost, 0.516 / 2.516}, "tokens": {got.TokensPerSecond, 1000 / 2.516},
	} {
		if math.Abs(c.got/c.want-1) > 1e-12 {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
	at := p.timeAt(Machine{Compute: 1e12, Network: got.Enough})
	below := p.timeAt(Machine{Compute: 1e12, Network: 0.999 * got.Enough})
	if at.Lost > 0.1 || below.Lost <= 0.1 {
		t.Errorf("at %v bits a second %v are lost, a little below %v", got.Enough, at.Lost, below.Lost)
	}
	p.Processes, p.Gathered = 1, 0
	if got, err = p.Time(Machine{Compute: 1e12}); err != nil || got.Step != 2 || got.Lost != 0 || got.Enough != 0 {
		t.Errorf("alone: %+v, %v", got, err)
	}
	p.Processes = 2
	for _, m := range []Machine{{}, {Compute: 1e12}, {Network: 1e9}, {Compute: -1, Network: 1e9}, {Compute: 1e12, Network: -1}} {
		if _, err := p.Time(m); err == nil || !strings.Contains(err.Error(), "want operations a second") {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

// By hand: 6e9 bytes at 2e9 a second are 3 s, longer than the 2 s that are computed meanwhile.
func TestTimeOfAStreamedStep(t *testing.T) {
	p := Plan{Operations: 2e12, Processes: 1, Brought: 6_000_000_000, Step: 1000}
	got, err := p.Time(Machine{Compute: 1e12, Offloaded: 2e9})
	if err != nil || got.Brought != 3 || got.Step != 3 || got.Compute != 2 || got.Lost != 0 {
		t.Errorf("from a slow disk: %+v, %v", got, err)
	}
	if got, err = p.Time(Machine{Compute: 1e12, Offloaded: 12e9}); err != nil || got.Brought != 0.5 || got.Step != 2 || got.Lost != 0 {
		t.Errorf("from a fast one: %+v, %v", got, err)
	}
	if text := got.String(); !strings.Contains(text, "the weights come in 500ms, while 2s are computed") {
		t.Errorf("told as %q", text)
	}
	p.Brought = 0
	for _, rate := range []float64{1e9, -1} {
		if _, err := p.Time(Machine{Compute: 1e12, Offloaded: rate}); err == nil ||
			!strings.Contains(err.Error(), "want bytes a second of weights that are offloaded") {
			t.Errorf("%v bytes a second of nothing: %v", rate, err)
		}
	}
}

// A linear layer of in × out numbers takes 2·in·out operations a token; the tiny model has no others but attention's.
func TestOperationsOfAPlan(t *testing.T) {
	cfg := Defaults()
	cfg.Model, cfg.MaxTokens, cfg.BatchRows, cfg.Accumulate = tinymodel.Write(t), 16, 2, 4
	cfg.Adapter.Method, cfg.Adapter.Targets = MethodFull, nil
	operations := func(processes int, change func(*Config)) float64 {
		c := cfg
		if change != nil {
			change(&c)
		}
		p, err := NewPlan(c, PlanOptions{Device: device.Options{Threads: 1}, Processes: processes})
		if err != nil {
			t.Fatal(err)
		}
		return p.Operations
	}
	shape := tinymodel.Config()
	linear := shape.Layers * (2*shape.Hidden*shape.HeadDim*(shape.Heads+shape.KVHeads) + 3*shape.Hidden*shape.Intermediate)
	// forward, the gradient of the input and that of the weight, but of the head's discarded token nothing
	tokens := 4 * 2 * 16
	products := 3 * 2 * float64(linear*tokens+shape.Hidden*shape.Vocab*(tokens-4))
	attention := 7 * 2 * float64(4*2*shape.Layers*shape.Heads*shape.HeadDim) * 16 * 17 / 2
	one := operations(1, nil)
	if math.Abs(one/(products+attention)-1) > 1e-9 {
		t.Errorf("%v operations a step, want %v of products and %v of attention", one, products, attention)
	}
	if two := operations(2, nil); two != one/2 {
		t.Errorf("%v operations of each of two processes, want half of %v", two, one)
	}
	if _, err := NewPlan(cfg, PlanOptions{Processes: 3}); err == nil ||
		!strings.Contains(err.Error(), "accumulate: want a multiple of the 3 processes, got 4") {
		t.Errorf("three processes for four micro-batches: %v", err)
	}
	// Nobody reads the result of a block's last product again.
	again := operations(1, func(c *Config) { c.Checkpointing = true }) - one
	last := shape.Layers * shape.Hidden * shape.Intermediate
	if want := 2*float64((linear-last)*tokens) + attention*2/7; math.Abs(again/want-1) > 1e-9 {
		t.Errorf("checkpointing computes %v operations more, want %v", again, want)
	}
}
