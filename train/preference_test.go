package train

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/encoding/tfevents"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/preference"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// judgedTiny is a tiny trainer with an objective.
func judgedTiny(t *testing.T, threads int, o Objective) tiny {
	t.Helper()
	return withObjective(newTiny(t, threads, 0), o)
}

// withObjective is the trainer with an objective of judgments.
func withObjective(tr tiny, o Objective) tiny {
	tr.Preference = &Preference{Objective: o, Adapter: tr.adapter, MaxTokens: tinymodel.Positions,
		DPO: preference.DPO{Beta: 0.3}, ORPO: preference.ORPO{Lambda: 0.7},
		KTO: preference.KTO{Beta: 0.3, Desirable: 1.5, Undesirable: 0.5}}
	return tr
}

// judgedRows are random rows as an objective wants them: pairs, or answers with labels.
func judgedRows(o Objective, n int, seed uint64) []data.Sequence {
	r := random.NewStream(seed, random.Test, 0, 0)
	list := make([]data.Sequence, n)
	for i := range list {
		prompt := make([]int32, 2+r.IntN(20))
		list[i] = tinymodel.Sequence(prompt, make([]int32, 1+r.IntN(20)), r)
		list[i].Source.Row = i + 1
		if list[i].Judgment = data.Chosen; o == KTO && i%3 != 0 {
			list[i].Judgment = data.Rejected
		}
		if o.hasPairs() {
			answer := make([]int32, 1+r.IntN(20))
			for k := range answer {
				answer[k] = int32(r.IntN(50))
			}
			rejected := data.NewSequence(prompt, answer, tinymodel.Positions)
			rejected.Judgment, rejected.Source = data.Rejected, list[i].Source
			list[i].Rejected = &rejected
		}
	}
	return list
}

// gradientsOf are the gradients of all that trains.
func gradientsOf(t *testing.T, tr tiny) (all []float64) {
	t.Helper()
	for _, p := range tr.Trainable.Params() {
		g, err := p.Grad.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g...)
	}
	return all
}

// logProbOf is the log-probability of the answer of a sequence, and its gradient: by the loss of fine-tuning on
// that sequence alone.
func logProbOf(t *testing.T, tr tiny, s data.Sequence) (logProb float64, gradient []float64) {
	t.Helper()
	s.Rejected = nil
	tr.Trainable.ZeroGrad()
	defer tr.Trainable.ZeroGrad()
	tape := autograd.NewTape(tr.Device)
	loss := tr.Model.Loss(data.Collate([]data.Sequence{s}).Batch, 1)
	tape.Backward(loss)
	read, err := loss.Tensor().Float64s()
	if err != nil {
		t.Fatal(err)
	}
	tape.Close()
	gradient = gradientsOf(t, tr)
	for i := range gradient {
		gradient[i] = -gradient[i]
	}
	return -read[0], gradient
}

// referenceOf is the log-probability that the model without the adapter gives.
func referenceOf(t *testing.T, tr tiny, s data.Sequence) float64 {
	t.Helper()
	s.Rejected = nil
	tr.adapter.Detach()
	sum, err := sumOver(t.Context(), tr.Model, data.Collate([]data.Sequence{s}))
	if err := tr.adapter.Attach(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return -sum
}

// spelledOut is the loss of rows as the papers write it, in float64, and its derivative by the log-probability of
// each sequence, by hand.
func spelledOut(t *testing.T, tr tiny, rows []data.Sequence) (loss float64, sequences []data.Sequence, d []float64) {
	t.Helper()
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	n := float64(len(rows))
	counted := 0.0
	for _, s := range rows {
		s.Rejected = nil
		counted += float64(s.Counted())
	}
	kl := 0.0
	if tr.Preference.Objective == KTO {
		for i, s := range rows {
			before := rows[(i+len(rows)-1)%len(rows)]
			first := slices.IndexFunc(s.Labels, func(l int32) bool { return l != data.Ignored })
			answer := slices.DeleteFunc(slices.Clone(before.Labels), func(l int32) bool { return l == data.Ignored })
			other := data.NewSequence(s.IDs[:first+1], answer, tinymodel.Positions)
			p, _ := logProbOf(t, tr, other)
			kl += (p - referenceOf(t, tr, other)) / n
		}
		kl = math.Max(kl, 0)
	}
	for _, s := range rows {
		prompt := s
		s.Labels, prompt.Labels = slices.Clone(s.Labels), slices.Clone(s.Labels)
		for i := range s.Labels {
			if i < s.Answer {
				s.Labels[i] = data.Ignored
			} else {
				prompt.Labels[i] = data.Ignored
			}
		}
		w, _ := logProbOf(t, tr, s)
		switch tr.Preference.Objective {
		case DPO:
			l, _ := logProbOf(t, tr, *s.Rejected)
			h := 0.3 * (w - referenceOf(t, tr, s) - (l - referenceOf(t, tr, *s.Rejected)))
			loss -= math.Log(sigma(h)) / n
			d = append(d, -0.3*(1-sigma(h))/n, 0.3*(1-sigma(h))/n)
		case ORPO:
			l, _ := logProbOf(t, tr, *s.Rejected)
			lengthW, lengthL := float64(len(answerOf(s))), float64(len(answerOf(*s.Rejected)))
			pw, pl := math.Exp(w/lengthW), math.Exp(l/lengthL)
			ratio := math.Log(pw / (1 - pw) / (pl / (1 - pl)))
			loss += -w/counted - 0.7*math.Log(sigma(ratio))/n
			if s.Answer > 0 {
				x, _ := logProbOf(t, tr, prompt)
				loss -= x / counted
				sequences, d = append(sequences, prompt), append(d, -1/counted)
			}
			d = append(d, -1/counted-0.7*(1-sigma(ratio))/(1-pw)/lengthW/n, 0.7*(1-sigma(ratio))/(1-pl)/lengthL/n)
		case KTO:
			weight, sign := 1.5, 1.0
			if s.Judgment == data.Rejected {
				weight, sign = 0.5, -1
			}
			v := sigma(sign * 0.3 * (w - referenceOf(t, tr, s) - kl))
			loss += (weight - weight*v) / n
			d = append(d, -weight*v*(1-v)*sign*0.3/n)
		}
		sequences = append(sequences, s)
		if s.Rejected != nil {
			sequences = append(sequences, *s.Rejected)
		}
	}
	return loss, sequences, d
}

// Losses and gradients of a step are those of the formulas, however its rows are cut into micro-batches or packed.
func TestPreferenceGradients(t *testing.T) {
	for _, c := range []struct {
		o       Objective
		prompts bool // are learned, too
	}{{DPO, false}, {ORPO, false}, {ORPO, true}, {KTO, false}} {
		o := c.o
		tr := judgedTiny(t, 2, o)
		offStart(tr)
		rows := judgedRows(o, 4, 11)
		for i := range rows {
			for s := &rows[i]; c.prompts && s.Labels[s.Answer] == data.Ignored; s.Answer++ {
				s.Labels[s.Answer] = s.IDs[s.Answer+1]
			}
		}
		want, sequences, d := spelledOut(t, tr, rows)
		var gradient []float64
		for i, s := range sequences {
			_, g := logProbOf(t, tr, s)
			if gradient == nil {
				gradient = make([]float64, len(g))
			}
			for k := range g {
				gradient[k] += d[i] * g[k]
			}
		}
		packed, err := data.NewLoader(rows, data.LoaderOptions{Rows: 1, Pack: 400})
		if err != nil {
			t.Fatal(err)
		}
		defer packed.Close()
		forms := map[string][]data.Batch{"one batch": data.Batches(rows, 4), "4 batches": data.Batches(rows, 1)}
		forms["checkpointed"] = forms["one batch"]
		if o != KTO { // whose answers meet other prompts in another order
			forms["packed"] = []data.Batch{packed.Next()}
		}
		for name, batches := range forms {
			tr.Trainable.ZeroGrad()
			tr.Model.Checkpointing = name == "checkpointed"
			var r StepResult
			if err := tr.preferenceGradients(&r, batches, 0); err != nil {
				t.Fatal(err)
			}
			got := gradientsOf(t, tr)
			if math.Abs(r.Loss-want) > 1e-5*math.Max(1, want) {
				t.Errorf("%+v, %s: loss %v, the formula gives %v", c, name, r.Loss, want)
			}
			off := 0.0
			for i := range got {
				off += (got[i] - gradient[i]) * (got[i] - gradient[i])
			}
			if e := math.Sqrt(off) / norm(gradient); !(e <= 1e-5) {
				t.Errorf("%+v, %s: the gradient is %g of its norm off the formula's", c, name, e)
			}
			if o == KTO && *r.Preference.KL == 0 {
				t.Error("KTO's divergence is 0: nothing is tested of it")
			}
		}
	}
}

// With the adapter off the model is the base, bit for bit, and it is on again after a step.
func TestReferenceIsTheBase(t *testing.T) {
	tr := judgedTiny(t, 2, DPO)
	rows := judgedRows(DPO, 4, 3)
	batches := data.Batches(rows, 2)
	first, err := tr.Step(batches)
	if err != nil {
		t.Fatal(err)
	}
	if p := first.Preference; math.Abs(first.Loss-math.Ln2) > 1e-15 || *p.Margin != 0 || p.Accuracy != 0.5 || p.Answers != 8 {
		t.Errorf("a silent adapter: loss %v, %+v; want log 2, no margin", first.Loss, p)
	}
	for range 5 {
		if _, err := tr.Step(batches); err != nil {
			t.Fatal(err)
		}
	}
	base, err := llama.NewAs(tr.Device, tinymodel.Config(), tensor.F32, 5)
	if err != nil {
		t.Fatal(err)
	}
	said := func(m *llama.Model, reference bool) (all []float64) {
		pass := scoring{batches[0], reference, func(_ int, x sequenceSum) { all = append(all, x.answer) }}
		if err := tr.Preference.score(t.Context(), m, dist.Alone(), []scoring{pass}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	got, want := said(tr.Model, true), said(base, false)
	if len(got) != 4 || !slices.Equal(got, want) {
		t.Errorf("the reference says %v, the base %v", got, want)
	}
	if slices.Equal(said(tr.Model, false), want) {
		t.Error("the model has not left the base, or its adapter is still off")
	}
}

func TestPreferenceThreads(t *testing.T) {
	for _, o := range Objectives()[1:] {
		var want []byte
		for _, threads := range []int{1, 3} {
			tr := judgedTiny(t, threads, o)
			all := judgedRows(o, 24, 7)
			for step := range 6 {
				if _, err := tr.Step(data.Batches(all[step*4:step*4+4], 2)); err != nil {
					t.Fatal(err)
				}
			}
			got := adapterBytes(t, tr)
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %d threads: other bits than with 1", o, threads)
			}
		}
	}
}

// Batches that an objective cannot learn from are refused, and leave no gradient.
func TestPreferenceRefusesBatches(t *testing.T) {
	plain := tinymodel.Rows(4, 1)
	single := judgedRows(KTO, 4, 1)
	pair := judgedRows(DPO, 1, 1)[0]
	half := pair
	half.Rejected = nil
	for _, c := range []struct {
		o    Objective
		rows []data.Sequence
		want string
	}{
		{DPO, plain, `want pairs of chosen and rejected answers for dpo, got a sequence of judgment ""`},
		{ORPO, single[1:], `want pairs of chosen and rejected answers for orpo, got a sequence of judgment "rejected"`},
		{DPO, []data.Sequence{pair, half}, "want pairs of answers, got 3 answers"},
		{KTO, plain, `want chosen and rejected answers for kto, got a sequence of judgment ""`},
	} {
		tr := judgedTiny(t, 1, c.o)
		_, err := tr.Step([]data.Batch{data.Collate(c.rows)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.o, err, c.want)
		}
		if tr.Optimizer.Steps() != 0 {
			t.Errorf("%s: a refused step was counted", c.o)
		}
	}
	tr := judgedTiny(t, 1, KTO)
	if _, err := tr.Step([]data.Batch{data.Collate(single[:1])}); err == nil ||
		!strings.Contains(err.Error(), "want at least 2 answers a step with kto") {
		t.Errorf("one answer: %v", err)
	}
	tr = judgedTiny(t, 1, DPO)
	tr.Preference.Adapter = nil
	if _, err := tr.Step([]data.Batch{data.Collate(judgedRows(DPO, 2, 1))}); err == nil ||
		!strings.Contains(err.Error(), "want an adapter, whose absence is the reference of dpo, got none") {
		t.Errorf("without an adapter: %v", err)
	}
}

// Evaluate sees what the step before its update has seen, to the bit.
func TestPreferenceEvaluate(t *testing.T) {
	for _, o := range Objectives()[1:] {
		tr := judgedTiny(t, 2, o)
		offStart(tr)
		batches := data.Batches(judgedRows(o, 6, 5), 3)
		loss, metrics, err := tr.Preference.Evaluate(t.Context(), tr.Model, batches)
		if err != nil {
			t.Fatal(err)
		}
		r, err := tr.Step(batches)
		if err != nil || math.Abs(r.Loss-loss) > 1e-12 || !reflect.DeepEqual(*r.Preference, metrics) {
			t.Errorf("%s: evaluated %v, %+v; the step saw %v, %+v, %v", o, loss, metrics, r.Loss, r.Preference, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := tr.Preference.Evaluate(ctx, tr.Model, batches); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: canceled: %v", o, err)
		}
		if _, _, err := tr.Preference.Evaluate(t.Context(), tr.Model, nil); !errors.Is(err, ErrNothingCounted) {
			t.Errorf("%s: nothing: %v", o, err)
		}
	}
}

// In f16 a loss scale keeps the gradients that f32 has.
func TestPreferenceInF16(t *testing.T) {
	norms := map[tensor.DType]float64{}
	for _, dt := range []tensor.DType{tensor.F32, tensor.F16} {
		tr := newTinyAs(t, dt, 2, 0)
		offStart(tr)
		tr.Preference = &Preference{Objective: DPO, Adapter: tr.adapter, DPO: preference.DPO{Beta: 1e-4}}
		if dt == tensor.F16 {
			tr.LossScale = &LossScale{Scale: 1 << 16}
		}
		r, err := tr.Step(data.Batches(judgedRows(DPO, 4, 11), 2))
		if err != nil || r.Skipped {
			t.Fatalf("%s: %+v, %v", dt, r, err)
		}
		norms[dt] = r.GradNorm
	}
	if off := norms[tensor.F16]/norms[tensor.F32] - 1; !(math.Abs(off) < 0.02) {
		t.Errorf("the gradient's norm is %v", norms)
	}
}

// A step whose loss is not finite changes nothing, and names where it came from.
func TestPreferenceNotFinite(t *testing.T) {
	tr := judgedTiny(t, 1, DPO)
	for name, p := range tr.Trainable.Params() {
		if strings.HasSuffix(name, "0.mlp.down_proj.A") {
			values, err := p.Value.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			values[3] = float32(math.NaN())
			p.Value.SetFloat32s(values)
		}
	}
	_, err := tr.Step(data.Batches(judgedRows(DPO, 4, 11), 2))
	bad, ok := errors.AsType[*NonFiniteError](err)
	if !ok || !strings.Contains(bad.Kernel, "0.mlp.down_proj") || len(bad.Rows) == 0 || tr.Optimizer.Steps() != 0 {
		t.Errorf("error %v", err)
	}
}

// TensorBoard has the curves of preference training, those of steps and of held-out rows apart.
func TestPreferenceEvents(t *testing.T) {
	dir, one, two := t.TempDir(), 1.0, 2.0
	w, err := tfevents.Create(dir, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Record{
		{Kind: KindStep, Step: 1, Loss: &one, Preference: &PreferenceMetrics{Accuracy: 0.5, Margin: &two}},
		{Kind: KindMeasurement, Step: 1, HeldOutLoss: &one, Preference: &PreferenceMetrics{Accuracy: 0.25, KL: &one}},
	} {
		if err := r.event(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	events, _, err := readEvents(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float32{}
	for _, e := range events {
		for _, s := range e.Scalars {
			if strings.HasPrefix(s.Tag, "preference") {
				got[s.Tag] = s.Value
			}
		}
	}
	want := map[string]float32{"preference_train/accuracy": 0.5, "preference_train/margin": 2,
		"preference_held_out/accuracy": 0.25, "preference_held_out/kl": 1}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
