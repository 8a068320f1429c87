package train

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// politeness are rows of which the chosen answers are of other words than the rejected ones, as pairs, or one by
// one with labels.
func politeness(t *testing.T, dir, name string, n int, labels bool) string {
	t.Helper()
	r := random.NewStream(uint64(len(name)), random.Test, 0, 0)
	word := func(list ...string) string { return list[r.IntN(len(list))] }
	var rows strings.Builder
	for range n {
		prompt := fmt.Sprintf("%s %d?", word("who", "what", "where", "when"), r.IntN(1000))
		good := word("please", "thanks", "yes sir") + word(".", "!", "")
		bad := word("go away", "no", "never") + word(".", "!", "")
		if !labels {
			fmt.Fprintf(&rows, `{"prompt": %q, "chosen": " %s", "rejected": " %s"}`+"\n", prompt, good, bad)
			continue
		}
		desirable := r.IntN(2) == 0
		fmt.Fprintf(&rows, `{"prompt": %q, "completion": " %s", "label": %t}`+"\n", prompt,
			map[bool]string{true: good, false: bad}[desirable], desirable)
	}
	path := filepath.Join(dir, name+".jsonl")
	if err := os.WriteFile(path, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// judgedRun is a short run with an objective.
func judgedRun(t *testing.T, o Objective) Config {
	t.Helper()
	c := Defaults()
	c.Model, c.Objective, c.MaxTokens, c.HeldOut = tinymodel.Write(t), o, 40, 24
	c.Data = Files(politeness(t, t.TempDir(), "rows", 160, o == KTO))
	c.Steps, c.LR, c.ScaleLR, c.BatchRows, c.SaveEvery = 60, 1e-2, 10, 4, 0
	c.Out = filepath.Join(t.TempDir(), "run")
	return c
}

// A run learns which answers are better: of held-out pairs it tells at first half, and at last nearly all.
func TestPreferenceRunsLearn(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, o := range Objectives()[1:] {
		c := judgedRun(t, o)
		s, err := Run(t.Context(), d, c, watcher{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		before, after := s.PreferenceBefore, s.PreferenceAfter
		t.Logf("%s: loss %.4f, accuracy %.3f before; %.4f, %.3f, margin %.3f after", o, *s.HeldOutBefore,
			before.Accuracy, *s.HeldOutAfter, after.Accuracy, *after.Margin)
		if o.hasReference() && before.Accuracy != 0.5 || after.Accuracy <= 0.9 || *s.HeldOutAfter >= *s.HeldOutBefore {
			t.Errorf("%s: accuracy %v before, %v after; loss %v, %v", o, before.Accuracy, after.Accuracy,
				*s.HeldOutBefore, *s.HeldOutAfter)
		}
		records, err := ReadMetrics(c.Out)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Preference == nil || (r.Preference.KL != nil) != (o == KTO) {
				t.Errorf("%s: %s %d has no preference, or a divergence that is not: %+v", o, r.Kind, r.Step, r.Preference)
			}
		}
	}
}

// A run of preference training that is interrupted ends with the bits of one that was not, packed and mixed too.
func TestPreferenceResumes(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, set := range map[string]func(*Config){
		"dpo": func(c *Config) { c.Objective, c.Adapter.Dropout = DPO, 0.1 },
		"orpo, packed, with prompts": func(c *Config) {
			c.Objective, c.Pack, c.BatchRows, c.Loss = ORPO, true, 1, string(data.LossAll)
		},
		"kto of pairs, mixed": func(c *Config) {
			dir := t.TempDir()
			c.Objective, c.HeldOut = KTO, 10
			c.Data = []Part{{Name: "pairs", Paths: []string{politeness(t, dir, "pairs", 40, false)}},
				{Name: "labels", Paths: []string{politeness(t, dir, "labels", 40, true)}}}
		},
	} {
		whole := judgedRun(t, DPO)
		whole.Steps, whole.Accumulate, whole.BatchRows, whole.EvalEvery = 10, 2, 2, 4
		set(&whole)
		parts := whole
		parts.Out, parts.Loaders = filepath.Join(t.TempDir(), "run"), 3
		if _, err := Run(t.Context(), d, whole, watcher{}, Options{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		interruptedAfter(t, d, parts, 5)
		if other := parts; true {
			other.Beta = 0.2
			if _, err := Resume(t.Context(), d, other, watcher{}, Options{}); err == nil ||
				!strings.Contains(err.Error(), "--beta: want") {
				t.Errorf("%s: resumed with another beta: %v", name, err)
			}
		}
		if _, err := Resume(t.Context(), d, parts, watcher{}, Options{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files, different, err := Compare(whole.Out, parts.Out)
		for _, x := range different {
			if !strings.HasPrefix(x.File, ConfigFile) { // loaders
				t.Errorf("%s: %v", name, x)
			}
		}
		if err != nil || files < 5 {
			t.Errorf("%s: %d files, %v", name, files, err)
		}
		records, err := ReadMetrics(whole.Out)
		if err != nil {
			t.Fatal(err)
		}
		if last := records[len(records)-1]; len(whole.Data) > 1 && len(last.Tasks) != 2 {
			t.Errorf("%s: tasks %+v", name, last.Tasks)
		}
	}
}

// What an objective cannot learn from, and what would move its reference, is refused with what would do.
func TestPreferenceRefusals(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	dir := t.TempDir()
	pairs, labels := politeness(t, dir, "pairs", 20, false), politeness(t, dir, "labels", 20, true)
	plain := filepath.Join(dir, "plain.jsonl")
	if err := os.WriteFile(plain, []byte(`{"prompt": "p", "completion": "c"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o          Objective
		file, want string
	}{
		{SFT, pairs, "pairs.jsonl row 1: want one answer to be learned for the objective sft, got two answers, of which one is better (objective dpo, orpo or kto)"},
		{SFT, labels, "labels.jsonl row 1: want one answer to be learned for the objective sft, got one answer with a label (objective kto)"},
		{DPO, labels, "labels.jsonl row 1: want chosen and rejected answers for the objective dpo, got one answer with a label (objective kto)"},
		{ORPO, plain, "plain.jsonl row 1: want chosen and rejected answers for the objective orpo, got one answer that nobody has judged"},
		{KTO, plain, "want an answer with a label, or chosen and rejected ones for the objective kto, got one answer that nobody has judged (objective sft)"},
	} {
		cfg := judgedRun(t, c.o)
		cfg.Data = Files(c.file)
		if _, err := Run(t.Context(), d, cfg, watcher{}, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: error %v, want %q", c.o, filepath.Base(c.file), err, c.want)
		}
	}
	// An adapter that has weights of the base tells so only when it is opened.
	m, err := llama.NewAs(d, tinymodel.Config(), tensor.F32, 5)
	if err != nil {
		t.Fatal(err)
	}
	a := multilora.Defaults()
	a.Extra = []string{"norm"}
	adapter, err := multilora.Attach(m, a, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := judgedRun(t, DPO)
	cfg.FromAdapter = filepath.Join(dir, "adapter")
	if err := adapter.Save(cfg.FromAdapter); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), d, cfg, watcher{}, Options{}); err == nil ||
		!strings.Contains(err.Error(), "--objective: want sft or orpo with an adapter that has weights of the base model") {
		t.Errorf("an adapter with weights of the base: %v", err)
	}
}

// Full fine-tuning has no reference, and so ORPO is what can be had with it.
func TestFullORPO(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := judgedRun(t, ORPO)
	c.Adapter.Method, c.Steps, c.LR = MethodFull, 20, 3e-3
	s, err := Run(t.Context(), d, c, watcher{}, Options{})
	if err != nil || *s.HeldOutAfter > *s.HeldOutBefore-0.1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestImbalance(t *testing.T) {
	c := Defaults()
	c.Objective = KTO
	for _, f := range []struct {
		desirable, undesirable int
		weight                 float64 // of desirable answers
		want                   string
	}{
		{4, 3, 1, ""},
		{3, 4, 1, ""},
		{2, 4, 2, ""},
		{2, 4, 1, "2 desirable and 4 undesirable answers weigh unlike; alike with --desirable-weight 2"},
		{9, 3, 1, "9 desirable and 3 undesirable answers weigh unlike; alike with --undesirable-weight 3"},
		{5, 0, 1, "5 desirable and 0 undesirable answers weigh unlike"},
	} {
		c.DesirableWeight = f.weight
		seqs := append(slices.Repeat([]data.Sequence{{Judgment: data.Chosen}}, f.desirable),
			slices.Repeat([]data.Sequence{{Judgment: data.Rejected}}, f.undesirable)...)
		if got := c.imbalance(seqs); got != f.want {
			t.Errorf("%d and %d at %v: %q, want %q", f.desirable, f.undesirable, f.weight, got, f.want)
		}
	}
	c.Objective = DPO
	if got := c.imbalance(make([]data.Sequence, 3)); got != "" {
		t.Errorf("dpo: %q", got)
	}
}

// A pair takes the memory of two rows of fine-tuning: the reference adds no weights.
func TestPreferenceMemory(t *testing.T) {
	peak := func(o Objective, rows int) int {
		c := Defaults()
		c.Model, c.Objective, c.BatchRows, c.Checkpointing = "tinyllama-1.1b", o, rows, true
		p, err := NewPlan(c, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return p.Peak
	}
	want := peak(SFT, 8)
	for o, rows := range map[Objective]int{DPO: 4, ORPO: 4, KTO: 8} {
		if got := peak(o, rows); float64(got) > 1.001*float64(want) {
			t.Errorf("%s needs %d bytes, fine-tuning on as many rows %d", o, got, want)
		}
	}
}
