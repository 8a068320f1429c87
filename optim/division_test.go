package optim

import (
	"bytes"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/internal/testworld"
	"github.com/agora-ml/agora/tensor"
)

// largeModel has matrices of several partial sums in two types, and a vector.
type largeModel struct {
	A *autograd.Param `name:"a"`
	B *autograd.Param `name:"b"`
	C *autograd.Param `name:"c"`
}

func newLarge(d *tensor.Device) *largeModel {
	param := func(seed uint64, dt tensor.DType, shape ...int) *autograd.Param {
		return &autograd.Param{Value: d.FromFloat32s(dt, numbers(seed, tensor.Numel(shape)), shape...)}
	}
	return &largeModel{param(1, tensor.F32, 3, sumBlock/2+7), param(2, tensor.BF16, 5, sumBlock), param(3, tensor.F32, 70)}
}

// Processes that divide masters and moments have the bits of one that has them all, and so has one that takes their state.
func TestDivision(t *testing.T) {
	type result struct {
		values, state map[string][]byte
		norms         []float64
	}
	run := func(division Division, steps int) (r result, o *Optimizer) {
		d := device(t)
		m := newLarge(d)
		tr, err := GatherDivided(d, m, division)
		if err != nil {
			t.Fatal(err)
		}
		o = mustNew(t, tr, DefaultAdamW())
		for step := range steps {
			for i, p := range []*autograd.Param{m.A, m.B, m.C} {
				p.Grad.SetFloat32s(numbers(uint64(10*step+i), p.Value.Numel()))
			}
			tr.ClipByNorm(1)
			o.Step(0.01)
			norm, err := tr.GradNorm()
			if err != nil {
				t.Fatal(err)
			}
			r.norms = append(r.norms, norm)
		}
		r.values, r.state = map[string][]byte{}, map[string][]byte{}
		for name, p := range tr.Params() {
			r.values[name] = raw(t, p.Value)
		}
		for name, s := range o.StateParts() {
			if s.Own != nil {
				r.state[name] = raw(t, s.Own)
			}
		}
		return r, o
	}
	want, _ := run(Division{}, 3)
	for _, n := range []int{2, 3, 12} {
		got := make([]result, n)
		for rank, err := range testworld.Run(n, func(w dist.World) error {
			got[w.Rank()], _ = run(Division{Rank: w.Rank(), Size: n, Share: func(x *tensor.Tensor, ends []int) error {
				raw, err := x.RawBytes()
				if err != nil {
					return err
				}
				bytesOf := make([]int, n)
				for i, end := range ends {
					bytesOf[i] = x.DType().Bytes(end)
				}
				err = w.Share(raw, bytesOf)
				x.SetBytes(raw)
				return err
			}}, 3)
			return nil
		}) {
			if err != nil {
				t.Fatalf("process %d: %v", rank, err)
			}
		}
		parts := map[string][]byte{}
		for rank, r := range got {
			if !slices.Equal(r.norms, want.norms) {
				t.Errorf("process %d of %d: norms %v, want %v", rank, n, r.norms, want.norms)
			}
			for name, value := range want.values {
				if !bytes.Equal(r.values[name], value) {
					t.Errorf("process %d of %d: other values of %s", rank, n, name)
				}
			}
			for name, own := range r.state {
				parts[name] = append(parts[name], own...)
			}
		}
		for name, value := range want.state {
			if !bytes.Equal(parts[name], value) {
				t.Errorf("%d processes: other parts of %s", n, name)
			}
		}
	}
	if _, err := GatherDivided(device(t), newLarge(device(t)), Division{Rank: 2, Size: 2}); err == nil {
		t.Error("the third of two processes was taken")
	}
	_, divided := run(Division{Size: 2}, 0)
	if err := tensor.Catch(func() { divided.State() }); err == nil {
		t.Error("a part of the state was taken for all of it")
	}
}
