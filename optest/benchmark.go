package optest

import (
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// Benchmark times every kernel that the operations' Large examples run, forward and
// backward, one by one, with f32 and with bf16 activations. MB/s counts every
// argument once for each time the contract reads or writes it; matrix products and
// attention report GFLOP/s as well.
func Benchmark(b *testing.B, d *tensor.Device, ops []autograd.Op) {
	for _, op := range ops {
		for _, e := range op.Examples() {
			if !e.Large {
				continue
			}
			for _, dt := range []dtypes{{tensor.F32, tensor.F32, tensor.F32}, {tensor.BF16, tensor.BF16, tensor.F32}} {
				b.Run(autograd.OpName(op)+"/"+e.Name+"/"+dt.t.String(), func(b *testing.B) {
					for _, c := range record(b, d, e, dt) {
						b.Run(c.kernel.Name(), func(b *testing.B) { c.run(b, d) })
					}
				})
			}
		}
	}
}

// recorded is one kernel call with a copy of what its arguments held.
type recorded struct {
	kernel tensor.Kernel
	args   []hostTensor
}

type hostTensor struct {
	memory any // equal for arguments that were one tensor; nil for an optional one not given
	dt     tensor.DType
	shape  []int
	data   []byte
}

// record runs an example and keeps the first call of every kernel.
func record(b *testing.B, d *tensor.Device, e autograd.Example, dt dtypes) []recorded {
	data := make([][]float64, len(e.In))
	for i := range e.In {
		if e.In[i].Shape != nil {
			data[i] = values(e, i)
		}
	}
	var calls []recorded
	seen := map[string]bool{}
	on := true
	d.Trace(func(k tensor.Kernel, args []*tensor.Tensor) {
		if !on || seen[k.Name()] {
			return
		}
		seen[k.Name()] = true
		c := recorded{kernel: k}
		for _, t := range args {
			var h hostTensor
			if t != nil {
				raw, err := t.RawBytes()
				if err != nil {
					b.Fatal(err)
				}
				h = hostTensor{t.Memory(), t.DType(), t.Shape(), raw}
			}
			c.args = append(c.args, h)
		}
		calls = append(calls, c)
	})
	_, err := run(d, e, data, dt, true, false)
	on = false
	if err != nil {
		b.Fatal(err)
	}
	return calls
}

func (c recorded) run(b *testing.B, d *tensor.Device) {
	scope := d.Scope()
	defer scope.Close()
	contract, _ := shaders.Find(c.kernel.Name())
	bindings := contract.Args
	bytes := 0
	made := map[any]*tensor.Tensor{}
	args := make([]*tensor.Tensor, len(c.args))
	for i, h := range c.args {
		if h.memory == nil {
			continue
		}
		if made[h.memory] == nil {
			made[h.memory] = d.FromBytes(h.dt, h.data, h.shape...)
		}
		args[i] = made[h.memory]
		if bindings[i].Read {
			bytes += args[i].Bytes()
		}
		if bindings[i].Written {
			bytes += args[i].Bytes()
		}
	}
	b.SetBytes(int64(bytes))
	for b.Loop() {
		d.Run(c.kernel, args...)
	}
	if err := d.Flush(); err != nil {
		b.Fatal(err)
	}
	if n := flops(c.kernel); n > 0 {
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	}
}

// flops of the kernels whose arithmetic is more than their memory traffic. Attention
// counts every pair of query and key, half of which a causal mask hides.
func flops(k tensor.Kernel) float64 {
	product := func(sizes ...int) float64 {
		n := 1.0
		for _, s := range sizes {
			n *= float64(s)
		}
		return n
	}
	switch k := k.(type) {
	case kernels.Matmul:
		return 2 * product(k.Batch, k.M, k.N, k.K)
	case kernels.Attention:
		return 4 * product(k.Batch, k.Heads, k.T, k.S, k.HeadDim)
	case kernels.AttentionGrad:
		return 10 * product(k.Batch, k.Heads, k.T, k.S, k.HeadDim)
	case kernels.AttentionGradQ:
		return 6 * product(k.Batch, k.Heads, k.T, k.S, k.HeadDim)
	case kernels.AttentionGradKV:
		return 8 * product(k.Batch, k.Heads, k.T, k.S, k.HeadDim)
	}
	return 0
}
