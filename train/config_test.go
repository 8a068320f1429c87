package train

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/agora-ml/agora/tensor"

	"github.com/agora-ml/agora/internal/yamlfile"
)

func TestConfigFileRoundTrip(t *testing.T) {
	c := Defaults()
	c.Model, c.Out, c.Data = `a "quoted" # name: ünï`, " spaces ", Files("a,b.json", "- c", "null")
	c.LR, c.Seed, c.Pack, c.DType = 1.25e-7, 1<<63, true, tensor.BF16
	c.Adapter.Targets, c.Adapter.Method, c.WarmupSteps = []string{"q_proj", "model.layers.[0-3].*"}, "lora", -1
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := c.Write(path); err != nil {
		t.Fatal(err)
	}
	got := Defaults()
	if err := got.Read(path); err != nil {
		t.Fatal(err)
	}
	c.Adapter.Extra, got.Adapter.Extra = nil, nil // [] and nothing are the same
	if len(got.given) != len(got.Settings()) {
		t.Errorf("given are %v, want all", got.given)
	}
	got.given = nil
	if !reflect.DeepEqual(got, c) {
		t.Errorf("read %+v\nwant %+v", got, c)
	}
}

func TestConfigFileForms(t *testing.T) {
	c := Defaults()
	err := c.parse("", []byte("# mine\nlr: 1e-3 # fast\ndata: one.json\ntargets: [q_proj, v_proj]\ntrain-also:\n  - norm\n  - lm_head\nmodel: 7\npack: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.LR != 1e-3 || c.Model != "7" || !c.Pack || strings.Join(c.paths(), "|") != "one.json" ||
		strings.Join(c.Adapter.Targets, "|") != "q_proj|v_proj" ||
		strings.Join(c.Adapter.Extra, "|") != "norm|lm_head" {
		t.Errorf("read %+v", c)
	}
	for _, s := range c.Settings() {
		switch s.Name {
		case "targets":
			if err := s.Set("q_proj, k_proj,"); err != nil || strings.Join(c.Adapter.Targets, "|") != "q_proj|k_proj" {
				t.Errorf("targets became %q, %v", c.Adapter.Targets, err)
			}
		case "train-also":
			if err := s.Set(""); err != nil || len(c.Adapter.Extra) != 0 {
				t.Errorf("train-also became %q, %v", c.Adapter.Extra, err)
			}
		}
	}
	if err := c.parse("", []byte(`data: ""`)); err != nil || len(c.Data) != 0 {
		t.Errorf("data became %q, %v", c.Data, err)
	}
	if c.Steps != Defaults().Steps {
		t.Errorf("a setting that is not in the file became %d", c.Steps)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n"} {
		if err := c.parse("", []byte(empty)); err != nil {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestConfigFileErrors(t *testing.T) {
	for _, f := range []struct{ text, want string }{
		{"steps: 1\nstepz: 3\n", `2: unknown setting "stepz" (did you mean steps?)`},
		{"batch_rows: 4\n", `1: unknown setting "batch_rows" (did you mean batch-rows?)`},
		{"wibblewobble: 4\n", `1: unknown setting "wibblewobble"`},
		{"\n\nlr: fast\n", `3: lr: want a number, got "fast"`},
		{"steps: 1.5\n", `1: steps: want a whole number, got "1.5"`},
		{"seed: -1\n", `1: seed: want a whole number of at least 0, got "-1"`},
		{"pack: maybe\n", `1: pack: want true or false, got "maybe"`},
		{"dtype: int8\n", `1: dtype: want auto, f32, bf16, f16, q8, q4, q4_k or nf4, got "int8"`},
		{"lr: [1, 2]\n", "1: lr: want one value, got a list"},
		{"lr: {a: 1}\n", "1: lr: want one value, got a mapping"},
		{"data: [[a]]\n", "1: data: want one value, got a list"},
		{"lr:\n", "1: lr: want one value, got nothing"},
		{"lr: 1\nsteps: 2\nlr: 2\n", `3: `},
		{"- lr\n", "1: want lines of NAME: VALUE, got a list"},
		{"just text\n", "1: want lines of NAME: VALUE"},
		{"lr: 1\n---\nlr: 2\n", "want one document, got another"},
		{"lr: [1\n", "1: "},
		{"lr: {lr: 1, lr: 2}\n", "1: "},
		{"steps: 1\n\xff\n", "2: want text in UTF-8, got the byte 0xff"},
		{"\xff\xfel\x00r\x00", "1: want text in UTF-8, got UTF-16: save the file as UTF-8"},
		{"\xfe\xff\x00l", "1: want text in UTF-8, got UTF-16"},
		{"\xff\xfe\x00\x00l\x00\x00\x00", "1: want text in UTF-8, got UTF-32"},
		{"l\x00r\x00", `1: want text, got the control character '\x00'`},
		{"\ufeff\ufefflr: 1\n", `1: unknown setting "\ufefflr"`},
		{"\ufeff\r\nlr: fast\r\n", `2: lr: want a number, got "fast"`},
		{"data: &x [a]\nlr: *x\n", "1: data: want one value, got a YAML anchor"},
	} {
		c := Defaults()
		if err := c.parse("", []byte(f.text)); err == nil ||
			!strings.HasPrefix(err.Error(), f.want) && !strings.Contains(err.Error(), f.want) {
			t.Errorf("%q: error %v, want %q", f.text, err, f.want)
		}
	}
	path := filepath.Join(t.TempDir(), "run.yaml")
	if err := os.WriteFile(path, []byte("\nlr: x\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := Defaults()
	if err := c.Read(path); err == nil || !strings.HasPrefix(err.Error(), path+":2: lr") {
		t.Errorf("error %v, want it to begin with the file and line", err)
	}
}

// What Windows' editors put into a file is passed over.
func TestConfigFileOfWindows(t *testing.T) {
	want, got := Defaults(), Defaults()
	want.Model, want.Data, want.Steps, want.HeldOut = "m260", Files("d/my data/rows, final.jsonl"), 1, 0
	if err := got.parse("", []byte("\ufeffmodel: m260\r\ndata: [\"d/my data/rows, final.jsonl\"]\r\nsteps: 1\r\nheld-out: 0\r\n")); err != nil {
		t.Fatal(err)
	}
	got.given = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
}

// mostBytes is what reading a configuration may allocate in all.
func mostBytes(text string) uint64 { return 4<<20 + 1000*uint64(len(text)) }

// allocated is what f allocates, in bytes.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// The memory of whatever looks like a configuration is in proportion to its size, which is
// bounded.
func TestConfigFileMemory(t *testing.T) {
	const size = yamlfile.Most
	fill := func(part string) string { return strings.Repeat(part, size/len(part)) }
	stairs := func(step string) string {
		var b strings.Builder
		for i := 0; b.Len() < size-1000; i++ {
			b.WriteString(strings.Repeat(" ", i) + step + "\n")
		}
		return b.String()
	}
	laughs := "a0: &a0 [x,x]\n"
	for i := range 500 {
		laughs += fmt.Sprintf("a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i)
	}
	const deeper = "want lists at most 8 deep, got a deeper one"
	for text, want := range map[string]string{
		fill("["): "1: " + deeper, fill("{"): "1: " + deeper, fill("[a,"): "1: " + deeper, fill("{a: "): "1: " + deeper,
		fill("data: ["): "1: ", fill("- "): "1: " + deeper, fill("? "): "1: " + deeper, fill("[\n"): deeper,
		fill("[\"]\", "): "1: " + deeper,
		fill("'[' [ "):   "1: ", fill("- ["): "1: " + deeper, fill("]"): "1: ", fill("&a "): "1: ",
		fill("*a "): "1: ", fill("!a "): "1: ", fill("%"): "1: ",
		fill("@"): "1: ", fill(": "): "1: ", fill("lr: 1\n"): "2: ",
		fill("a: &a [*a]\n"): `2: mapping key "a" already defined`, stairs("a:"): `1: unknown setting "a"`,
		stairs("-"): "1: want lines of NAME: VALUE", laughs: `1: unknown setting "a0"`,
		"data: &a [x]\n" + laughs: "1: data: want one value, got a YAML anchor",
		fill("---\n"):             "", fill("#"): "", fill(" "): "",
	} {
		c := Defaults()
		var err error
		n := allocated(func() { err = c.parse("", []byte(text)) })
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40q: error %v, want %q", text, err, want)
		}
		if n > mostBytes(text) {
			t.Errorf("%.40q, %d bytes: %d MiB allocated", text, len(text), n>>20)
		}
	}
	path := filepath.Join(t.TempDir(), "run.yaml")
	if err := os.WriteFile(path, []byte(fill("#\n")+"#\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := Defaults()
	if err := c.Read(path); err == nil || !strings.Contains(err.Error(),
		path+": want at most 262144 bytes, got 262146") {
		t.Errorf("a larger file: %v", err)
	}
}

func FuzzConfigFile(f *testing.F) {
	f.Add("\ufefflr: 1\r\n")
	f.Add("data: [[[[[[[[[a]]]]]]]]]\n- - -\n")
	f.Add("a: |\n b\n---\nc: >-\n d\n...\n%YAML 1.2\n")
	f.Add("lr: 1e-3\ndata: [a, b]\n")
	f.Add("a: &x [1]\nb: *x\n<<: {lr: 1}\n")
	f.Add("? [a]\n: b\n")
	f.Add("!!map {lr: !!float 1}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Defaults()
		var err error
		if n := allocated(func() { err = c.parse("", []byte(text)) }); n > mostBytes(text) {
			t.Fatalf("%d bytes of text: %d MiB allocated", len(text), n>>20)
		}
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := c.Write(path); err != nil {
			t.Fatal(err)
		}
		again := Defaults()
		if err := again.Read(path); err != nil {
			t.Fatalf("%q was read, but not what was written of it: %v", text, err)
		}
	})
}

func TestValidate(t *testing.T) {
	good := Defaults()
	good.Model, good.Data, good.Out = "m", Files("d"), "o"
	good.Resolve()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		set  string // NAME=VALUE, one after the other
		want string
	}{
		{"model=", "--model: want a folder or file"},
		{"from-scratch=c.json", "want it without model"},
		{"model= from-scratch=c.json method=full", "--tokenizer: want"},
		{"model= from-scratch=c.json tokenizer=t method=lora", "--method: want full with from-scratch"},
		{"out=", "--out: want a folder"},
		{"steps=0", "--steps: want at least 1, got 0"},
		{"loaders=100000000", "--loaders: want at most 1024, got 100000000"},
		{"batch-rows=1000000000", "--batch-rows: want at most 65536"},
		{"accumulate=1000000000", "--accumulate: want at most 65536"},
		{"keep=0", "--keep: want at least 1, got 0"},
		{"lr=-1", "--lr: want a finite number"},
		{"lr=NaN", "--lr: want a finite number"},
		{"clip-norm=+Inf", "--clip-norm: want a finite number"},
		{"scale-lr=0", "--scale-lr: want a positive factor"},
		{"steps=5 warmup-steps=6", "--warmup-steps: want at most the 5 steps, got 6"},
		{"steps=2000000000 accumulate=3", "--steps: want at most 4294967295 micro-batches"},
		{"dtype=f64", "--dtype"},
		{"lora-bias=true", "--lora-bias: want false with method multilora, got true"},
		{"method=full train-tokens=5", "--train-tokens: want none with method full (everything trains), got [5]"},
		{"method=loha", `--method: want multilora, lora, rslora, dora or full, got "loha"`},
		{"schedule=step", `--schedule: want cosine, linear or constant, got "step"`},
		{"truncate=middle", `--truncate: want end, start, drop or split, got "middle"`},
		{"rank=0", "--rank: want at least 1"},
		{"method=full dtype=q8", "quantized weights cannot train"},
		{"dtype=q4 compute-dtype=q8", `--compute-dtype: want f32, bf16 or f16, got "q8"`},
		{"dtype=bf16 compute-dtype=f32", "--compute-dtype: want bf16 with dtype bf16 (another is for dtype q8, q4, q4_k or nf4), got f32"},
		{"dtype=f32 compute-dtype=f16", "--compute-dtype: want f32 with dtype f32"},
		{"method=full compute-dtype=bf16", "--compute-dtype: want f32 with dtype f32"},
		{"method=full dropout=0.1", "--dropout: want 0 with method full"},
		{"method=full train-also=norm", "--train-also: want none"},
		{"early-stop=2", "--early-stop: want eval-every"},
		{"result=best", "--result: best wants eval-every"},
		{"objective=ppo", `--objective: want sft, dpo, orpo or kto, got "ppo"`},
		{"objective=dpo method=full", "--objective: want sft or orpo with method full (the reference"},
		{"objective=kto train-also=norm", "--objective: want sft or orpo with train-also (the reference"},
		{"objective=dpo loss=all", "--objective: want sft or orpo with loss all"},
		{"objective=dpo truncate=split", "--objective: want sft with truncate split"},
		{"objective=kto batch-rows=1", "--objective: want at least 2 rows a step with kto"},
		{"beta=0.2", "--beta: want it with objective dpo or kto alone, got 0.2 with sft"},
		{"objective=orpo beta=0.2", "--beta: want it with objective dpo or kto alone, got 0.2 with orpo"},
		{"objective=dpo beta=0", "--beta: want a finite number of at least 1e-06, got 0"},
		{"objective=dpo orpo-lambda=1", "--orpo-lambda: want it with objective orpo alone"},
		{"objective=kto dpo-loss=ipo", "--dpo-loss: want it with objective dpo alone"},
		{"objective=dpo dpo-loss=log", `--dpo-loss: want sigmoid, hinge or ipo, got "log"`},
		{"objective=dpo label-smoothing=0.5", "--label-smoothing: want below 0.5, got 0.5"},
		{"objective=dpo dpo-loss=ipo label-smoothing=0.1", "--label-smoothing: want 0 with dpo-loss ipo, got 0.1"},
		{"objective=dpo desirable-weight=2", "--desirable-weight: want it with objective kto alone"},
	} {
		c := good
		for _, pair := range strings.Fields(f.set) {
			name, value, _ := strings.Cut(pair, "=")
			for _, s := range c.Settings() {
				if s.Name == name {
					if err := s.Set(value); err != nil {
						t.Fatalf("%s: %v", pair, err)
					}
				}
			}
		}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: error %v, want %q", f.set, err, f.want)
		}
	}
}

func TestEpochsBecomeSteps(t *testing.T) {
	for _, f := range []struct {
		epochs float64
		rows   int
		steps  int // -1: too many
	}{
		{1, 100, 5}, {0.01, 100, 1}, {1.01, 100, 6}, {3, 7, 2}, {1e300, 100, -1}, {1e11, 1, -1},
	} {
		c := Defaults()
		c.BatchRows, c.Accumulate, c.Epochs = 4, 5, f.epochs
		err := c.countSteps(f.rows)
		if f.steps < 0 && (err == nil || !strings.Contains(err.Error(),
			"--epochs: want at most 4294967295 micro-batches")) {
			t.Errorf("%v epochs of %d rows: error %v", f.epochs, f.rows, err)
		}
		if f.steps > 0 && (err != nil || c.Steps != f.steps || c.WarmupSteps != min(10, f.steps/2)) {
			t.Errorf("%v epochs of %d rows: %d steps, %d of them warmup, %v", f.epochs, f.rows, c.Steps,
				c.WarmupSteps, err)
		}
	}
}
