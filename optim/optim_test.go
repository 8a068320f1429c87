package optim

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

func device(t *testing.T) *tensor.Device {
	t.Helper()
	d := testdevice.CPU(t, 2)
	d.Poison(true)
	return d
}

// model has parameters of every kind that Gather tells apart.
type model struct {
	Frozen *autograd.Param `name:"frozen"` // [4]
	W      *autograd.Param `name:"w"`      // [3, 5]
	Norm   *autograd.Param `name:"norm"`   // [7]
	S      *autograd.Param `name:"q.s"`    // [2, 3], without decay
	Tied   *autograd.Param `name:"tied"`   // W again
	Half   *autograd.Param `name:"half"`   // [11, 13], 16 bits
}

func newModel(d *tensor.Device, half tensor.DType) *model {
	param := func(seed uint64, dt tensor.DType, shape ...int) *autograd.Param {
		return autograd.NewParam(d.FromFloat32s(dt, numbers(seed, tensor.Numel(shape)), shape...))
	}
	m := &model{
		Frozen: param(1, tensor.F32, 4), W: param(2, tensor.F32, 3, 5), Norm: param(3, tensor.F32, 7),
		S: param(4, tensor.F32, 2, 3), Half: param(5, half, 11, 13),
	}
	m.Frozen.Frozen, m.S.NoDecay = true, true
	m.Tied = m.W
	return m
}

func numbers(seed uint64, n int) []float32 {
	r := random.NewStream(seed, random.Test, 0, 0)
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.Normal())
	}
	return x
}

func read(t *testing.T, x *tensor.Tensor) []float32 {
	t.Helper()
	f, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustGather(t *testing.T, d *tensor.Device, m any, groups ...Group) *Trainable {
	t.Helper()
	tr, err := Gather(d, m, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func mustNew(t *testing.T, tr *Trainable, r Rule) *Optimizer {
	t.Helper()
	o, err := New(tr, r)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// adamw is torch.optim.AdamW in float64, of one parameter.
type adamw struct{ p, m, v []float64 }

func (a *adamw) step(t int, g []float32, lr, decay, clip float64) {
	const beta1, beta2, eps = 0.9, 0.999, 1e-8
	for i := range a.p {
		gi := float64(g[i]) * clip
		a.p[i] *= 1 - lr*decay
		a.m[i] = beta1*a.m[i] + (1-beta1)*gi
		a.v[i] = beta2*a.v[i] + (1-beta2)*gi*gi
		mHat := a.m[i] / (1 - math.Pow(beta1, float64(t)))
		vHat := a.v[i] / (1 - math.Pow(beta2, float64(t)))
		a.p[i] -= lr * mHat / (math.Sqrt(vHat) + eps)
	}
}

// Several steps of every kind of parameter, with groups and clipping, against float64.
func TestAdamWAgainstFloat64(t *testing.T) {
	d := device(t)
	for _, half := range []tensor.DType{tensor.F16, tensor.BF16} {
		m := newModel(d, half)
		names := []string{"w", "norm", "q.s", "half"}
		params := []*autograd.Param{m.W, m.Norm, m.S, m.Half}
		var want []*adamw
		for _, p := range params {
			f, err := p.Value.Float64s()
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, &adamw{f, make([]float64, len(f)), make([]float64, len(f))})
		}
		tr := mustGather(t, d, m, Group{Match: "*.s", LRFactor: 5, WeightDecay: 0.3})
		o := mustNew(t, tr, AdamW{Betas: [2]float32{0.9, 0.999}, Eps: 1e-8, WeightDecay: 0.1})
		for step := 1; step <= 8; step++ {
			lr := 0.01 * float64(step%3) // 0 in some steps: the moments move all the same
			squares := 0.0
			grads := make([][]float32, len(params))
			for i, p := range params {
				grads[i] = numbers(uint64(100*step+i), p.Value.Numel())
				p.Grad.SetFloat32s(grads[i])
				for _, g := range grads[i] {
					squares += float64(g) * float64(g)
				}
			}
			clip := 1.0
			if step > 2 {
				tr.ClipByNorm(0.5)
				norm, err := tr.GradNorm()
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(norm-math.Sqrt(squares)) > 1e-6*norm {
					t.Errorf("step %d: norm %g, want %g", step, norm, math.Sqrt(squares))
				}
				clip = 0.5 / (math.Sqrt(squares) + 1e-6)
			}
			o.Step(float32(lr))
			want[0].step(step, grads[0], lr, 0.1, clip)
			want[1].step(step, grads[1], lr, 0, clip)
			want[2].step(step, grads[2], 5*lr, 0.3, clip)
			want[3].step(step, grads[3], lr, 0.1, clip)
		}
		if o.Steps() != 8 {
			t.Errorf("%d steps, want 8", o.Steps())
		}
		for name, x := range o.State() {
			i := slices.Index(names, name[strings.Index(name, ".")+1:])
			expected := map[string][]float64{"exp_avg": want[i].m, "exp_avg_sq": want[i].v,
				"master": want[i].p}[name[:strings.Index(name, ".")]]
			near(t, name, read(t, x), expected, 2e-6)
		}
		for i, p := range params[:3] {
			near(t, names[i], read(t, p.Value), want[i].p, 2e-6)
		}
		// The 16-bit parameter is its master, rounded.
		master := tr.blocks[tr.entries[3].block].value.View(tr.entries[3].from, 11, 13)
		if rounded := read(t, d.FromFloat32s(half, read(t, master), 11, 13)); !slices.Equal(read(t, m.Half.Value),
			rounded) {
			t.Errorf("the %s parameter is not its rounded master", half)
		}
		for i, b := range tr.blocks {
			checkPadding(t, tr, i, append([]*tensor.Tensor{b.value, b.grad, b.stored()}, o.moments[i]...))
		}
	}
}

func near(t *testing.T, name string, got []float32, want []float64, limit float64) {
	t.Helper()
	for i := range want {
		if diff := math.Abs(float64(got[i]) - want[i]); !(diff <= limit*(1+math.Abs(want[i]))) {
			t.Errorf("%s, element %d: %.9g, want %.9g", name, i, got[i], want[i])
			return
		}
	}
}

// checkPadding looks at what lies between the parameters of a block.
func checkPadding(t *testing.T, tr *Trainable, block int, xs []*tensor.Tensor) {
	t.Helper()
	for k, x := range xs {
		data := read(t, x)
		for _, e := range tr.entries {
			if e.block == block {
				clear(data[e.from : e.from+e.param.Value.Numel()])
			}
		}
		for i, v := range data {
			if v != 0 {
				t.Fatalf("block %d, tensor %d: the padding at %d has become %g", block, k, i, v)
			}
		}
	}
}

// Two steps by hand: p = 1, g = 0.5 and then -1, lr = 0.1, betas 0.5 and 0.75, no decay.
//
//	step 1: m = 0.25, v = 0.0625; m̂ = 0.5, v̂ = 0.25: p = 1 - 0.1*0.5/0.5 = 0.9
//	step 2: m = -0.375, v = 0.296875; m̂ = -0.5, v̂ = 0.296875/0.4375: p = 0.9 + 0.1*0.5/0.823754
func TestAdamWByHand(t *testing.T) {
	d := device(t)
	m := &struct {
		P *autograd.Param `name:"p"`
	}{autograd.NewParam(d.FromFloat32s(tensor.F32, []float32{1}, 1))}
	o := mustNew(t, mustGather(t, d, m), AdamW{Betas: [2]float32{0.5, 0.75}, Eps: 1e-12})
	for i, c := range []struct{ g, p float64 }{{0.5, 0.9}, {-1, 0.9606977}} {
		m.P.Grad.SetFloat32s([]float32{float32(c.g)})
		o.Step(0.1)
		if got := read(t, m.P.Value)[0]; math.Abs(float64(got)-c.p) > 2e-7 {
			t.Errorf("step %d: %.8g, want %.8g", i+1, got, c.p)
		}
	}
}

// The first step is the learning rate, whatever the gradient: both bias corrections must
// belong to the very betas that the kernel mixes with.
func TestAdamWFirstStep(t *testing.T) {
	d := device(t)
	for _, g := range []float32{1e-3, -0.3, 700} {
		m := &struct {
			P *autograd.Param `name:"p"`
		}{autograd.NewParam(d.FromFloat32s(tensor.F32, []float32{0}, 1))}
		o := mustNew(t, mustGather(t, d, m), AdamW{Betas: [2]float32{0.9, 0.999}, Eps: 1e-12})
		m.P.Grad.SetFloat32s([]float32{g})
		o.Step(1)
		if got := read(t, m.P.Value)[0]; math.Abs(float64(got)+math.Copysign(1, float64(g))) > 1e-6 {
			t.Errorf("gradient %g: moved by %.9g", g, got)
		}
	}
}

// Three steps by hand: p = 1, g = 1, lr = 0.1, momentum 0.5, decay 0.2.
//
//	d = 1.2, 1.2*0.5 + 1.176, …; velocity 1.2, 1.776, 2.02848; p = 0.88, 0.7024, 0.499552
func TestSGDByHand(t *testing.T) {
	d := device(t)
	m := &struct {
		P *autograd.Param `name:"p"`
	}{autograd.NewParam(d.FromFloat32s(tensor.BF16, []float32{1}, 1, 1))}
	tr := mustGather(t, d, m)
	o := mustNew(t, tr, SGD{Momentum: 0.5, WeightDecay: 0.2})
	for i, want := range []float64{0.88, 0.7024, 0.499552} {
		m.P.Grad.SetFloat32s([]float32{1})
		o.Step(0.1)
		near(t, "master", read(t, tr.blocks[0].value)[:1], []float64{want}, 1e-7)
		if got := float64(read(t, m.P.Value)[0]); math.Abs(got-want) > want/256 {
			t.Errorf("step %d: bf16 parameter %g, want %g", i+1, got, want)
		}
	}
	plain := mustNew(t, tr, SGD{})
	m.P.Grad.SetFloat32s([]float32{2})
	plain.Step(0.1)
	near(t, "without momentum", read(t, tr.blocks[0].value)[:1], []float64{0.299552}, 1e-7)
}

// A factor that ClipByNorm has made is used once; ZeroGrad clears every gradient.
func TestClipIsForOneStep(t *testing.T) {
	d := device(t)
	m := &struct {
		P *autograd.Param `name:"p"`
	}{autograd.NewParam(d.FromFloat32s(tensor.F32, []float32{0, 0}, 2))}
	tr := mustGather(t, d, m)
	o := mustNew(t, tr, SGD{})
	m.P.Grad.SetFloat32s([]float32{3, 4})
	tr.ClipByNorm(1)
	o.Step(1)
	near(t, "clipped", read(t, m.P.Value), []float64{-0.6, -0.8}, 1e-6)
	o.Step(1)
	near(t, "unclipped", read(t, m.P.Value), []float64{-3.6, -4.8}, 1e-6)
	tr.ZeroGrad()
	if g := read(t, m.P.Grad); g[0] != 0 || g[1] != 0 {
		t.Errorf("gradients %v after ZeroGrad", g)
	}
	if err := tensor.Catch(func() { tr.ClipByNorm(-1) }); err == nil {
		t.Error("a negative maximum was taken")
	}
}

// Gradients times a power of two give the bits of those without, clipped or not.
func TestClipScaledByNorm(t *testing.T) {
	d := device(t)
	for _, maxNorm := range []float32{0, 0.5, 1e6} {
		steps := func(scale float32) (all [][]byte, norms []float64) {
			m := newModel(d, tensor.BF16)
			tr := mustGather(t, d, m)
			o := mustNew(t, tr, DefaultAdamW())
			for step := range 3 {
				for i, p := range []*autograd.Param{m.W, m.Norm, m.S, m.Half} {
					g := numbers(uint64(10*step+i), p.Value.Numel())
					for j := range g {
						g[j] *= scale
					}
					p.Grad.SetFloat32s(g)
				}
				tr.ClipScaledByNorm(maxNorm, scale)
				o.Step(0.1)
				norm, err := tr.GradNorm()
				if err != nil {
					t.Fatal(err)
				}
				norms = append(norms, norm)
			}
			for _, x := range o.State() {
				all = append(all, raw(t, x))
			}
			return all, norms
		}
		want, wantNorms := steps(1)
		for _, scale := range []float32{2, 1 << 16, 1 << 32, 1. / 8} {
			if got, norms := steps(scale); !slices.EqualFunc(got, want, bytes.Equal) ||
				!slices.Equal(norms, wantNorms) {
				t.Errorf("maximum %g, scale %g: other bits, or norms %v, want %v", maxNorm, scale, norms, wantNorms)
			}
		}
	}
	tr := mustGather(t, d, newModel(d, tensor.BF16))
	for _, scale := range []float32{0, -1, float32(math.Inf(1)), float32(math.NaN())} {
		if err := tensor.Catch(func() { tr.ClipScaledByNorm(1, scale) }); err == nil {
			t.Errorf("a scale of %g was taken", scale)
		}
	}
}

// A gradient with one number that is none changes nothing, whether the norm is limited or
// only measured; with its count taken back the next step is as if it had not been.
func TestStepWithoutFiniteNorm(t *testing.T) {
	for name, rule := range map[string]Rule{"AdamW": DefaultAdamW(), "SGD": SGD{Momentum: 0.9, WeightDecay: 0.1}} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for _, maxNorm := range []float32{0, 1} {
				d := device(t)
				run := func(spoil bool) [][]byte {
					m := newModel(d, tensor.BF16)
					tr := mustGather(t, d, m)
					o := mustNew(t, tr, rule)
					state := func() (all [][]byte) {
						for _, p := range tr.Params() {
							all = append(all, raw(t, p.Value))
						}
						for _, x := range o.State() {
							all = append(all, raw(t, x))
						}
						return all
					}
					for step := range 3 {
						for i, p := range []*autograd.Param{m.W, m.Norm, m.S, m.Half} {
							p.Grad.SetFloat32s(numbers(uint64(10*step+i), p.Value.Numel()))
						}
						if spoil && step == 1 {
							before := state()
							good := read(t, m.Norm.Grad)
							broken := slices.Clone(good)
							broken[3] = float32(bad)
							m.Norm.Grad.SetFloat32s(broken)
							tr.ClipByNorm(maxNorm)
							o.Step(0.1)
							if norm, err := tr.GradNorm(); err != nil || norm <= math.MaxFloat64 {
								t.Errorf("norm %g, error %v: want none that is finite", norm, err)
							}
							if !slices.EqualFunc(state(), before, bytes.Equal) {
								t.Errorf("%s, maximum %g: a gradient of %g has changed something", name, maxNorm, bad)
							}
							o.Uncount()
							m.Norm.Grad.SetFloat32s(good)
						}
						tr.ClipByNorm(maxNorm)
						o.Step(0.1)
					}
					if o.Steps() != 3 {
						t.Errorf("%d steps, want 3", o.Steps())
					}
					return state()
				}
				if !slices.EqualFunc(run(true), run(false), bytes.Equal) {
					t.Errorf("%s, maximum %g: after a gradient of %g and a step taken back, steps have other bits",
						name, maxNorm, bad)
				}
			}
		}
	}
	d := device(t)
	o := mustNew(t, mustGather(t, d, newModel(d, tensor.F16)), SGD{})
	if err := tensor.Catch(o.Uncount); err == nil {
		t.Error("a step that was not made was taken back")
	}
}

func raw(t *testing.T, x *tensor.Tensor) []byte {
	t.Helper()
	b, err := x.RawBytes()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b)
}

// Stopping, saving and going on gives the bits of never having stopped.
func TestStateResumes(t *testing.T) {
	run := func(stop bool) [][]float32 {
		d := device(t)
		m := newModel(d, tensor.BF16)
		tr := mustGather(t, d, m)
		o := mustNew(t, tr, DefaultAdamW())
		for step := range 6 {
			if stop && step == 3 {
				saved := map[string][]float32{}
				for name, x := range o.State() {
					saved[name] = read(t, x)
				}
				fresh := newModel(d, tensor.BF16)
				for i, p := range []*autograd.Param{fresh.W, fresh.Norm, fresh.S} {
					p.Value.SetFloat32s(read(t, []*autograd.Param{m.W, m.Norm, m.S}[i].Value))
				}
				m, tr = fresh, mustGather(t, d, fresh)
				steps := o.Steps()
				o = mustNew(t, tr, DefaultAdamW())
				if err := o.Restore(steps, func(name string) ([]float32,
					error) {
					return saved[name], nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			for i, p := range []*autograd.Param{m.W, m.Norm, m.S, m.Half} {
				p.Grad.SetFloat32s(numbers(uint64(10*step+i), p.Value.Numel()))
			}
			tr.ClipByNorm(1)
			o.Step(0.01)
		}
		return [][]float32{read(t, m.W.Value), read(t, m.Norm.Value), read(t, m.S.Value), read(t, m.Half.Value)}
	}
	whole, resumed := run(false), run(true)
	for i := range whole {
		if !slices.Equal(whole[i], resumed[i]) {
			t.Errorf("parameter %d has other bits after a resume", i)
		}
	}
	d := device(t)
	o := mustNew(t, mustGather(t, d, newModel(d, tensor.F16)), DefaultAdamW())
	err := o.Restore(1, func(string) ([]float32, error) { return make([]float32, 15), nil })
	if want := "exp_avg.norm: want 7 numbers for f32[7], got 15"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

// A step is one kernel a block, and ClipByNorm one a block and one more.
func TestKernelsOfAStep(t *testing.T) {
	d := device(t)
	tr := mustGather(t, d, newModel(d, tensor.BF16))
	o := mustNew(t, tr, DefaultAdamW())
	var names []string
	d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) { names = append(names, k.Name()) })
	live := d.Stats().Live
	tr.ClipByNorm(1)
	o.Step(0.1)
	if want := strings.Fields("sum_squares sum_squares sum_squares clip_factor adamw adamw adamw"); !slices.Equal(names,
		want) {
		t.Errorf("kernels %v, want %v", names, want)
	}
	if now := d.Stats().Live; now != live {
		t.Errorf("a step left %d bytes behind", now-live)
	}
}

func TestRuleErrors(t *testing.T) {
	d := device(t)
	tr := mustGather(t, d, newModel(d, tensor.F16))
	for _, c := range []struct {
		rule Rule
		want string
	}{
		{AdamW{}, "AdamW: field Eps: want a positive number, got 0"},
		{AdamW{Betas: [2]float32{0.9, 1}, Eps: 1}, "AdamW: field Betas[1]: want at least 0 and below 1, got 1"},
		{AdamW{Eps: 1, WeightDecay: -1}, "AdamW: field WeightDecay: want at least 0, got -1"},
		{SGD{Momentum: -1}, "SGD: field Momentum: want at least 0 and below 1, got -1"},
		{SGD{WeightDecay: float32(math.Inf(1))}, "SGD: field WeightDecay: want at least 0, got +Inf"},
	} {
		if _, err := New(tr, c.rule); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%#v: got error %v, want %q", c.rule, err, c.want)
		}
	}
}

// Whoever looks at gradients that are forgotten, and that no Backward has reached since, sees zeros.
func TestForgetGrad(t *testing.T) {
	d := device(t)
	m := &struct {
		P *autograd.Param `name:"p"`
	}{autograd.NewParam(d.FromFloat32s(tensor.F32, []float32{1, 2}, 2))}
	tr := mustGather(t, d, m)
	o := mustNew(t, tr, SGD{})
	sum := tr.NewGradients()
	forget := func() {
		m.P.Grad.SetFloat32s([]float32{3, 4})
		tr.ForgetGrad()
	}
	want := func(what string, x *tensor.Tensor, want ...float64) { near(t, what, read(t, x)[:len(want)], want, 0) }
	forget()
	tr.ClipByNorm(0)
	want("the norm", tr.Norm(), 0)
	forget()
	o.Step(1)
	want("the value", m.P.Value, 1, 2)
	forget()
	for g := range tr.GradParts() {
		want("the parts", g, 0, 0)
	}
	forget()
	tr.MoveGrad(sum)
	want("what was moved", sum.blocks[0], 0, 0)
	sum.blocks[0].SetFloat32s(append([]float32{5, 6}, make([]float32, sum.blocks[0].Numel()-2)...))
	forget()
	tr.AddGrad(sum)
	want("what was added", m.P.Grad, 5, 6)
	tr.MoveGrad(sum)
	tr.AddGrad(sum)
	want("what was moved and added", m.P.Grad, 5, 6)
	forget()
	tr.ZeroGrad()
	m.P.Grad.SetFloat32s([]float32{1, 1})
	o.Step(1)
	want("the value after ZeroGrad and a gradient", m.P.Value, 0, 1)
}
