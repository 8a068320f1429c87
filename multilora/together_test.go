package multilora

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

// launching is the CPU as a device on which every kernel has a price.
type launching struct{ tensor.Backend }

func (launching) Launches() {}

func launchingCPU(t *testing.T, threads int) *tensor.Device {
	t.Helper()
	b, err := cpu.Open(cpu.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return testdevice.On(t, launching{b})
}

// What sees the same input is computed together where kernels have a price, with results and gradients of the layers by
// themselves: q, k and v, gate and up, in products of all their modules.
func TestLayersTogetherAsOneByOne(t *testing.T) {
	for name, cfg := range kinds() {
		t.Run(name, func(t *testing.T) {
			run := func(d *tensor.Device) ([]float32, int) {
				m := random3Heads(t, d, 192, 64) // whose A's fill what Gather aligns them to
				a := attach(t, m, cfg)
				for _, l := range a.layers {
					b := make([]float32, l.linear.B.Value.Numel())
					for i := range b {
						b[i] = float32(i%7-3) / 16
					}
					l.linear.B.Value.SetFloat32s(b)
				}
				gather(t, m)
				products := 0
				stop := d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
					if _, ok := k.(kernels.Matmul); ok {
						products++
					}
				})
				defer stop()
				bits := bitsOf(t, m, a)
				return bits, products
			}
			want, many := run(testdevice.CPU(t, 1))
			got, few := run(launchingCPU(t, 1))
			if diff := distance(got, want); diff > 1e-5 {
				t.Errorf("logits and gradients differ by %g", diff)
			}
			// In each of two blocks q, k and v save two products, gate and up one: for u in both passes forward, for the
			// gradients of A, and for that of x, which the first q, k and v have none of.
			const saved = 2*2*3 + 2*3 + 2*3 - 2
			if all := name == "scalar" || name == "lora"; all && many-few != saved {
				t.Errorf("%d products, one by one %d: want %d fewer", few, many, saved)
			}
		})
	}
}

// A prompt in pieces has the bits of the whole, which has rows enough for modules to be merged (ops.MergesFrom).
func TestPieces(t *testing.T) {
	m := tiny(t, open(t, 2))
	attach(t, m, Defaults())
	trained(t, m, 2)
	text := randomBatch(50).IDs[:50]
	last := func(pieces ...[]int32) (logits []float32) {
		d := m.NewDecoder(1, len(text))
		defer d.Close()
		for _, p := range pieces {
			rows, err := d.Step([][]int32{p})
			if err != nil {
				t.Fatal(err)
			}
			logits = rows[0]
		}
		return logits
	}
	if whole, pieces := last(text), last(text[:20], text[20:]); !slices.Equal(whole, pieces) {
		t.Errorf("in pieces logits are off by %.2g of their norm, want the same bits", distance(pieces, whole))
	}
}
