package bench

import (
	"cmp"
	"encoding/binary"
	"math"
	"time"

	"github.com/agora-ml/agora/dist"
)

// NetworkOptions say what is sent, and how often.
type NetworkOptions struct {
	Bytes  int // of a block, of which every process has a part; the gradient's messages are train's
	Rounds int // of which the median counts
}

// Network is what passes between the processes of a run while they do nothing else, as training sends it. The rates are
// those of the slowest process, in bits a second that its link takes in; they count what is sent, without any headers. One process alone has none.
type Network struct {
	Processes int     `json:"processes"`
	Share     float64 `json:"share_bits_per_second,omitempty"`    // of a block whose parts all have: --shard weights
	Exchange  float64 `json:"exchange_bits_per_second,omitempty"` // both ways between pairs: the gradient
	Barrier   float64 `json:"barrier_us,omitempty"`
}

// exchangedBytes is a message of the gradient's sum.
const exchangedBytes = 1 << 20

// MeasureNetwork measures; every process calls it with the same options.
func MeasureNetwork(w dist.World, o NetworkOptions) (n Network, err error) {
	n.Processes = w.Size()
	if n.Processes == 1 {
		return n, nil
	}
	block, ends := make([]byte, max(o.Bytes, w.Size())), make([]int, w.Size())
	for i := range ends {
		ends[i] = len(block) * (i + 1) / len(ends)
	}
	received := len(block) - len(block)/w.Size()
	share, err := slowest(w, o.Rounds, func() error { return w.Share(block, ends) })
	if err != nil {
		return n, err
	}
	n.Share = 8 * float64(received) / share
	with, data, into := w.Rank()^1, make([]byte, exchangedBytes), make([]byte, exchangedBytes)
	messages := max(1, o.Bytes/exchangedBytes/2)
	exchange, err := slowest(w, o.Rounds, func() error {
		if with >= w.Size() { // the odd one
			return nil
		}
		for range messages {
			if err := w.Exchange(with, data, into); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	n.Exchange = 8 * exchangedBytes * float64(messages) / exchange
	barrier, err := slowest(w, max(o.Rounds, 100), w.Barrier)
	n.Barrier = 1e6 * barrier
	return n, err
}

// slowest is the median time of a call, in seconds, in the process that needs longest. The first call, which has
// connections made, does not count.
func slowest(w dist.World, rounds int, call func() error) (float64, error) {
	times := make([]float64, 0, rounds)
	for i := range rounds + 1 {
		if err := w.Barrier(); err != nil {
			return 0, err
		}
		start := time.Now()
		if err := call(); err != nil {
			return 0, err
		}
		if i > 0 {
			times = append(times, time.Since(start).Seconds())
		}
	}
	own := binary.LittleEndian.AppendUint64(nil, math.Float64bits(median(times)))
	all, err := w.AllGather(own)
	most := 0.0
	for _, t := range all {
		most = max(most, math.Float64frombits(binary.LittleEndian.Uint64(t)))
	}
	return most, cmp.Or(err, w.Barrier())
}
