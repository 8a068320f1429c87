package train

import (
	"fmt"
	"math"
	"time"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Machine is what a Plan's time is predicted from; what is 0 is unknown.
type Machine struct {
	Compute float64 // floating-point operations a second of each process's device in products, as bench step measures them
	Network float64 // bits a second of each process's link, in either direction
	// Offloaded is the bytes a second at which weights come that are not in the device's memory (Config.Offload): the
	// disk's where the memory does not keep them, the bus's to a GPU; 0: they take no time.
	Offloaded float64
}

// StepTime is how long a step of a Plan takes, in seconds.
type StepTime struct {
	Step float64 `json:"step_seconds"` // Compute and what network, disk and bus add
	// Apart is Step where what is on its way stands still while the processors compute, and the other way round: MPI
	// polls, and has its own processor only where not all of them compute.
	Apart   float64 `json:"step_seconds_without_a_processor_for_mpi"`
	Compute float64 `json:"compute_seconds"` // with all weights there
	Weights float64 `json:"weights_seconds"` // of the network with the parts of weights, beside the computation
	Brought float64 `json:"brought_seconds"` // of disk or bus with offloaded weights, beside the computation
	Sums    float64 `json:"sums_seconds"`    // of the network with the gradients, behind it
	Lost    float64 `json:"lost_share"`      // of Step: what the network adds
	// Enough are the bits a second from which on Lost is under a tenth; 0: no network is needed.
	Enough          float64 `json:"network_for_a_tenth_lost"`
	TokensPerSecond float64 `json:"tokens_per_second"` // of all processes, at most: padding counts
}

// Time predicts a step. Each process has a link of its own. What comes of the others' parts of weights is on its way
// while blocks compute, and so are offloaded weights: only what takes longer than they do adds time. The gradient goes
// when all have computed. Delays of messages are not counted.
func (p Plan) Time(m Machine) (t StepTime, err error) {
	if !(m.Compute > 0) || m.Network < 0 || m.Network == 0 && p.Processes > 1 {
		return t, fmt.Errorf("plan: want operations a second, and with several processes bits a second of the network, "+
			"got %v and %v", m.Compute, m.Network)
	}
	if m.Offloaded < 0 || m.Offloaded > 0 && p.Brought == 0 {
		return t, fmt.Errorf("plan: want bytes a second of weights that are offloaded, got %v for %d bytes a step",
			m.Offloaded, p.Brought)
	}
	t = p.timeAt(m)
	if p.Processes == 1 {
		return t, nil
	}
	low, high := 0.0, math.Ldexp(1, 60) // bits a second; the share that is lost falls with them
	for range 200 {
		middle := (low + high) / 2
		if p.timeAt(Machine{m.Compute, middle, m.Offloaded}).Lost > 0.1 {
			low = middle
		} else {
			high = middle
		}
	}
	t.Enough = high
	return t, nil
}

func (p Plan) timeAt(m Machine) (t StepTime) {
	t.Compute = p.Operations / m.Compute
	if p.Processes > 1 {
		t.Weights = 8 * float64(p.Gathered) / m.Network
		t.Sums = 8 * float64(p.sums) / m.Network
	}
	if m.Offloaded > 0 {
		t.Brought = float64(p.Brought) / m.Offloaded
	}
	alone := max(t.Compute, t.Brought)
	t.Step = max(alone, t.Weights) + t.Sums
	t.Apart = alone + t.Weights + t.Sums
	t.Lost = 1 - alone/t.Step
	t.TokensPerSecond = float64(p.Step) / t.Step
	return t
}

// sumBytes is what this process gives the others between two steps, and what it takes: for the sum of the gradients,
// and of what trains where they divide the optimizer.
func (g *gradientSum) sumBytes() (given, taken int) {
	if g.size == 1 {
		return 0, 0
	}
	spans := make([]int, g.size) // of each process
	for _, s := range g.spans(span{0, g.all}) {
		spans[g.of(s.from)]++
	}
	way := pairings(g.rank, g.size)
	if g.halves() {
		way = halvings(g.rank, g.size)
	}
	gathered := 4 // bytes a number
	if g.trainer.divided {
		gathered = g.trainer.Model.DType().Bytes(1)
	}
	for _, p := range g.trainer.gradParts(g.size) {
		for _, m := range way {
			given += 4 * spans[g.rank] * p.elements(m.give)
			taken += 4 * spans[m.other] * p.elements(m.take)
		}
		for _, m := range gatherings(g.rank, g.size) {
			given += gathered * p.elements(m.give)
			taken += gathered * p.elements(m.take)
		}
	}
	return given, taken
}

// mostPassed is the most that passes the link of any process, in either direction, for the sum of so many micro-batches'
// gradients.
func (t *Trainer) mostPassed(processes, batches int) (n int) {
	for rank := range processes {
		n = max(n, max(t.newSum(rank, processes, batches).sumBytes()))
	}
	return n
}

// String is the prediction for people, a line.
func (t StepTime) String() string {
	s := fmt.Sprintf("a step takes about %v, at most %.4g tokens a second", seconds(t.Step), t.TokensPerSecond)
	if t.Brought > 0 {
		s += fmt.Sprintf("; the weights come in %v, while %v are computed", seconds(t.Brought), seconds(t.Compute))
	}
	if t.Weights+t.Sums == 0 {
		return s
	}
	s += fmt.Sprintf("; the network %v for weights, %v for gradients: %.0f %% of a step lost, under 10 %% from "+
		"%.3g Gbit/s on", seconds(t.Weights), seconds(t.Sums), 100*t.Lost, t.Enough/1e9)
	if t.Apart > t.Step {
		s += fmt.Sprintf("; %v where MPI has no processor beside those that compute", seconds(t.Apart))
	}
	return s
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
}

// watchOperations counts the operations of products on a device from now on, a multiplication and an addition being
// two. Of attention's it counts those below the diagonal, all of them where there is a window.
func watchOperations(d *tensor.Device) func() float64 {
	total := 0.0
	attention := func(products, batch, heads, queries, keys, size int) {
		seen := float64(queries) * (float64(keys) - float64(queries-1)/2)
		total += 2 * float64(products*batch*heads*size) * seen
	}
	stop := d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
		switch k := k.(type) {
		case kernels.Matmul:
			total += 2 * float64(k.Batch) * float64(k.M) * float64(k.N) * float64(k.K)
		case kernels.Attention: // scores and the sum of values
			attention(2, k.Batch, k.Heads, k.T, k.S, k.HeadDim)
		case kernels.AttentionGrad: // scores, the gradient of probabilities, those of queries, keys and values
			attention(5, k.Batch, k.Heads, k.T, k.S, k.HeadDim)
		case kernels.AttentionGradQ: // scores, the gradient of probabilities, that of queries
			attention(3, k.Batch, k.Heads, k.T, k.S, k.HeadDim)
		case kernels.AttentionGradKV: // these two once more, the gradients of keys and values
			attention(4, k.Batch, k.Heads, k.T, k.S, k.HeadDim)
		}
	})
	return func() float64 {
		stop()
		return total
	}
}
