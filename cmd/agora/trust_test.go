package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/cpulevel"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/train"
)

// interruptedRun is a run of 15 steps that has ended after step 11, with the checkpoints of
// the steps 5, 7, 10 and 11, and the same run as it is when it is never interrupted.
func interruptedRun(t *testing.T, more ...string) (whole, parts string) {
	t.Helper()
	settings := append(append(hardRun(t), "--steps", "15", "--device", "cpu"), more...)
	whole, parts = filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	if out, err := process(append(settings, "--out", whole)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stop(t, process(append(settings, "--out", parts)...), parts, 11, os.Interrupt, exitInterrupted)
	if steps := checkpointSteps(t, parts); !slices.Equal(steps, []int{5, 7, 10, 11}) { // the best after step 7
		t.Fatalf("there are checkpoints of the steps %v", steps)
	}
	return whole, parts
}

// damaged is a copy of a run's folder to which something was done.
func damaged(t *testing.T, run string, do func(dir, newest string) error) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(dir, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	if err := do(dir, filepath.Join(dir, train.CheckpointsFolder, stepName(newest(dir)))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func edit(path string, to func([]byte) []byte) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, to(slices.Clone(text)), 0o666)
}

func flip(path string, at float64) error {
	return edit(path, func(b []byte) []byte {
		b[int(at*float64(len(b)-1))] ^= 4
		return b
	})
}

// What was done to a run between two of its parts is refused by its name. With
// --allow-other-bits it goes on all the same, and checkpoints, metrics and summary say so.
func TestResumeRefusesOtherBits(t *testing.T) {
	whole, parts := interruptedRun(t)
	resume := func(dir string, more ...string) []string {
		return append([]string{"train", "--out", dir, "--resume", "--device", "cpu"}, more...)
	}
	const goesOn, stays = true, false
	for name, c := range map[string]struct {
		do   func(dir, newest string) error
		want string // the error, and with goesOn what is written down
		what string
		goes bool
	}{
		"a file of another checkpoint": {func(_, newest string) error {
			older, err := os.ReadFile(filepath.Join(newest, "..", stepName(10), "adapter.safetensors"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(newest, "adapter.safetensors"), older, 0o666)
		}, "step-000011/adapter.safetensors is not as it was written: want the SHA-256 ", "file adapter.safetensors",
			goesOn},
		"another checkpoint's optimizer": {func(_, newest string) error {
			older, err := os.ReadFile(filepath.Join(newest, "..", stepName(5), "optimizer.safetensors"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(newest, "optimizer.safetensors"), older, 0o666)
		}, "step-000011/optimizer.safetensors is not as it was written: want the SHA-256 ",
			"file optimizer.safetensors", goesOn},
		"another checkpoint's state": {func(_, newest string) error {
			older, err := os.ReadFile(filepath.Join(newest, "..", stepName(10), "state.json"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(newest, "state.json"), older, 0o666)
		}, "step-000011 is not the folder's name as it was written: want step-000010, got step-000011", "", stays},
		"a renamed checkpoint": {func(_, newest string) error {
			return os.Rename(newest, filepath.Join(filepath.Dir(newest), stepName(12)))
		}, "step-000012 is not the folder's name as it was written: want step-000011, got step-000012", "folder",
			goesOn},
		"a flipped bit of the weights": {func(_, newest string) error {
			return flip(filepath.Join(newest, "adapter.safetensors"), 0.9)
		}, "adapter.safetensors is not as it was written: want the SHA-256 ", "file adapter.safetensors", goesOn},
		"a flipped bit of the optimizer": {func(_, newest string) error {
			return flip(filepath.Join(newest, "optimizer.safetensors"), 0.9)
		}, "optimizer.safetensors is not as it was written: want the SHA-256 ", "file optimizer.safetensors", goesOn},
		"a number in state.json": {func(_, newest string) error {
			return edit(filepath.Join(newest, "state.json"), func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"without_gain": `), []byte(`"without_gain": 1`), 1)
			})
		}, "state.json is not as it was written: want the SHA-256 ", "file state.json", goesOn},
		"a space in state.json": {func(_, newest string) error {
			return edit(filepath.Join(newest, "state.json"), func(b []byte) []byte { return append(b, ' ') })
		}, "state.json is not as it was written: want the SHA-256 ", "file state.json", goesOn},
		"state.json without its digest": {func(_, newest string) error {
			return edit(filepath.Join(newest, "state.json"),
				func(b []byte) []byte { return bytes.Replace(b, []byte("state_sha256"), []byte("State_SHA256"), 1) })
		}, "field state_sha256: want 64 hexadecimal digits", "", stays},
		"a shorter file": {func(_, newest string) error {
			return edit(filepath.Join(newest, "optimizer.safetensors"), func(b []byte) []byte { return b[:len(b)-4] })
		}, "optimizer.safetensors is not as it was written: want ", "", stays},
		"a missing file": {func(_, newest string) error {
			return os.Remove(filepath.Join(newest, "optimizer.safetensors"))
		},
			"optimizer.safetensors is not as it was written: want a file of ", "", stays},
		"a file too many": {func(_, newest string) error {
			return os.WriteFile(filepath.Join(newest, "notes.txt"), nil, 0o666)
		}, "notes.txt is not as it was written: want no such file, got one", "file notes.txt", goesOn},
		"a folder too many": {func(_, newest string) error { return os.Mkdir(filepath.Join(newest, "notes"), 0o777) },
			"notes is not as it was written: want no such file, got one", "file notes", goesOn},
		"a folder in a file's place": {func(_, newest string) error {
			path := filepath.Join(newest, "adapter.json")
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o777)
		}, "adapter.json is not as it was written: want a file of ", "", stays},
		"an empty file": {func(_, newest string) error { return os.Truncate(filepath.Join(newest, "adapter.json"), 0) },
			"adapter.json is not as it was written: want ", "", stays},
		"no state": {func(_, newest string) error { return os.Remove(filepath.Join(newest, "state.json")) },
			"state.json: no such file", "", stays},
		"an empty checkpoint": {func(_, newest string) error {
			return os.Mkdir(filepath.Join(filepath.Dir(newest), stepName(13)), 0o777)
		},
			"step-000013/state.json: no such file", "", stays},
		"another run's metrics": {func(dir, _ string) error {
			return edit(filepath.Join(dir, train.MetricsFile), func(b []byte) []byte {
				return regexp.MustCompile(`"loss":([0-9])`).ReplaceAll(b, []byte(`"loss":1$1`))
			})
		}, "the checkpoint of step 11 is of another run: want the loss 1", "loss", goesOn},
	} {
		t.Run(name, func(t *testing.T) {
			dir := damaged(t, parts, c.do)
			code, _, stderr := agora(t, resume(dir)...)
			if code != 1 || !strings.Contains(stderr, "agora: --resume: ") || !strings.Contains(stderr, c.want) {
				t.Fatalf("exit code %d, want 1 and %q in\n%s", code, c.want, stderr)
			}
			if strings.Contains(stderr, "is not as it was written") &&
				!strings.Contains(stderr, "; step-000010 is whole: --resume-from step-000010 goes on from there") {
				t.Errorf("no checkpoint that is whole is named:\n%s", stderr)
			}
			code, stdout, stderr := agora(t, resume(dir, "--allow-other-bits")...)
			if !c.goes {
				if code != 1 {
					t.Errorf("what cannot be read: exit code %d\n%s", code, stderr)
				}
				return
			}
			if code != 0 || !strings.Contains(stdout, "other bits     from step 11 on: "+c.what+" was ") {
				t.Fatalf("exit code %d, printed\n%s%s", code, stdout, stderr)
			}
			noted(t, dir, c.what)
		})
	}
	// What is whole still is, and ends as if nothing had been.
	dir := damaged(t, parts, func(string, string) error { return nil })
	if code, _, stderr := agora(t, resume(dir)...); code != 0 {
		t.Fatal(stderr)
	}
	sameFiles(t, whole, dir)
	if code, _, stderr := agora(t, "train", "--out", dir, "--allow-other-bits"); code != 1 ||
		!strings.Contains(stderr, "--allow-other-bits: want it with --resume") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

// noted checks that a run's newest checkpoint, metrics and summary tell of one deviation after step 11.
func noted(t *testing.T, dir, what string) {
	t.Helper()
	var state, summary struct {
		OtherBits []train.Deviation `json:"other_bits"`
	}
	for path, v := range map[string]any{statePath(dir): &state, filepath.Join(dir, train.SummaryFile): &summary} {
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var recorded []train.Deviation
	for _, r := range records(t, dir) {
		recorded = append(recorded, r.OtherBits...)
	}
	for place, list := range map[string][]train.Deviation{"state.json": state.OtherBits,
		"summary.json": summary.OtherBits, "metrics.jsonl": recorded} {
		if len(list) != 1 || list[0].What != what || list[0].Step != 11 || list[0].Want == list[0].Got {
			t.Errorf("%s says %+v, want %s after step 11", place, list, what)
		}
	}
}

// sameFiles compares the files of two runs that hold no times.
func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	want, got := runFiles(t, a), runFiles(t, b)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s differs, or is missing", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is too many", name)
		}
	}
}

// Every setting that numbers depend on is refused by its name where config.yaml was edited.
func TestResumeRefusesEditedSettings(t *testing.T) {
	_, parts := interruptedRun(t)
	began := train.Defaults()
	if err := began.Read(filepath.Join(parts, train.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	other := map[string]string{ // of those that are no numbers, or bound by others (-)
		"dtype": "bf16", "compute-dtype": "-", "format": "completion", "template": "chatml", "loss": "all",
		"truncate": "drop",
		"method":   "-", "scaling": "per-output", "targets": "q_proj", "train-also": "norm", "schedule": "linear",
		"result": "best", "loss-scale": "2", "dropout": "0.1", "epochs": "2", "objective": "orpo", "dpo-loss": "-",
		"beta": "-", "label-smoothing": "-", "orpo-lambda": "-", "desirable-weight": "-", "undesirable-weight": "-", "lora-bias": "-", "train-tokens": "5",
	}
	refused := 0
	for _, s := range began.Settings() {
		old, value := s.String(), other[s.Name]
		if s.Resume != train.Fixed || value == "-" {
			continue
		}
		if value == "" {
			var n float64
			if _, err := fmt.Sscan(old, &n); err == nil {
				value = fmt.Sprint(n + 1)
			} else if old == "true" || old == "false" {
				value = map[string]string{"true": "false", "false": "true"}[old]
			} else {
				continue // a setting that is a text, of a later day
			}
		}
		dir := damaged(t, parts, func(dir, _ string) error {
			edited := train.Defaults()
			if err := edited.Read(filepath.Join(dir, train.ConfigFile)); err != nil {
				return err
			}
			for _, e := range edited.Settings() {
				if e.Name == s.Name {
					if err := e.Set(value); err != nil {
						return err
					}
				}
			}
			return edited.Write(filepath.Join(dir, train.ConfigFile))
		})
		code, _, stderr := agora(t, "train", "--out", dir, "--resume", "--device", "cpu")
		if want := fmt.Sprintf(": %s: want %q, as the run in %s began, got %q", s.Name, old, dir, value); code != 1 ||
			!strings.Contains(stderr, want) {
			t.Errorf("exit code %d, want 1 and %q in\n%s", code, want, stderr)
		}
		refused++
	}
	if refused < 25 {
		t.Errorf("only %d settings were tried", refused)
	}
	// What may change goes on, another seed only with a word for it.
	dir := damaged(t, parts, func(dir, _ string) error {
		return edit(filepath.Join(dir, train.ConfigFile),
			func(b []byte) []byte { return bytes.Replace(b, []byte("\nseed: 0"), []byte("\nseed: 7"), 1) })
	})
	if code, _, stderr := agora(t, "train", "--out", dir, "--resume", "--device", "cpu", "--allow-other-bits",
		"--loaders", "1", "--keep", "1"); code != 0 {
		t.Fatal(stderr)
	}
	noted(t, dir, "setting seed")
	dir = damaged(t, parts, func(dir, _ string) error {
		return edit(filepath.Join(dir, train.ConfigFile),
			func(b []byte) []byte { return bytes.Replace(b, []byte("\nrank: 4"), []byte("\nrank: 8"), 1) })
	})
	if code, _, stderr := agora(t, "train", "--out", dir, "--resume", "--device", "cpu",
		"--allow-other-bits"); code != 1 || !strings.Contains(stderr, `: rank: want "4"`) ||
		!strings.Contains(stderr, "what trains is the checkpoint's") {
		t.Errorf("another rank: exit code %d\n%s", code, stderr)
	}
}

// The checkpoints of another run are refused, by its settings, or by its losses where the
// settings are those that may change.
func TestResumeRefusesAnotherRun(t *testing.T) {
	_, parts := interruptedRun(t)
	settings := train.Defaults()
	if err := settings.Read(filepath.Join(parts, train.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"--seed=3": `: seed: want "3"`,
		"--lr=0.02": "the checkpoint of step 10 is of another run: want the loss "} {
		other := filepath.Join(t.TempDir(), "run")
		stop(t, process("train", filepath.Join(parts, train.ConfigFile), "--device", "cpu", "--out", other, flag),
			other, 11, os.Interrupt, exitInterrupted)
		dir := damaged(t, parts, func(dir, _ string) error {
			mine := filepath.Join(dir, train.CheckpointsFolder)
			if err := os.RemoveAll(mine); err != nil {
				return err
			}
			if err := os.CopyFS(mine, os.DirFS(filepath.Join(other, train.CheckpointsFolder))); err != nil {
				return err
			}
			return os.RemoveAll(filepath.Join(mine, stepName(11)))
		})
		if code, _, stderr := agora(t, "train", "--out", dir, "--resume", "--device", "cpu"); code != 1 ||
			!strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, want 1 and %q in\n%s", flag, code, want, stderr)
		}
	}
}

// A run that goes on from an earlier checkpoint, because the newest is damaged, ends with the
// files of one to which nothing happened; what was damaged is set aside.
func TestResumeFromAnEarlierCheckpoint(t *testing.T) {
	whole, parts := interruptedRun(t)
	dir := damaged(t, parts, func(dir, newest string) error {
		return flip(filepath.Join(newest, "optimizer.safetensors"), 0.5)
	})
	for _, c := range []struct{ name, want string }{
		{"step-000008", "--resume-from: want a checkpoint of "},
		{"10", "step-000005, step-000007, step-000010, step-000011, got \"10\""},
		{"../checkpoints/step-000010", "--resume-from: want a checkpoint of "},
		{"step-000011", "optimizer.safetensors is not as it was written"},
	} {
		if code, _, stderr := agora(t, "train", "--out", dir, "--resume-from", c.name, "--device",
			"cpu"); code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, want 1 and %q in\n%s", c.name, code, c.want, stderr)
		}
	}
	code, _, stderr := agora(t, "train", "--out", dir, "--resume-from", stepName(10), "--device", "cpu")
	if code != 0 || !strings.Contains(stderr, "step-000011 is now damaged-step-000011: it is not as it was written") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	if err := os.RemoveAll(filepath.Join(dir, train.CheckpointsFolder, "damaged-"+stepName(11))); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, whole, dir)
	if a, b := records(t, whole), records(t, dir); !reflect.DeepEqual(a, b) {
		t.Errorf("the metrics differ:\n%+v\n%+v", a, b)
	}
	// One that is whole is removed: the run comes by there again.
	if code, _, stderr := agora(t, "train", "--out", dir, "--resume-from", stepName(10), "--device", "cpu"); code != 0 {
		t.Fatal(stderr)
	}
	sameFiles(t, whole, dir)
}

// Another arithmetic is another device: a run does not go on there unless it is told to.
func TestResumeRefusesAnotherArithmetic(t *testing.T) {
	d := cpu.Describe()
	if d.GEMM == "go" {
		t.Skip("this processor or build has but one arithmetic")
	}
	_, parts := interruptedRun(t)
	plain := func(args ...string) (string, error) {
		c := process(args...)
		c.Env = append(c.Env, cpulevel.Variable+"=plain")
		text, err := c.CombinedOutput()
		return string(text), err
	}
	text, err := plain("train", "--out", parts, "--resume", "--device", "cpu")
	if want := fmt.Sprintf("--resume: device products: want %s, with which the run began, got go",
		d.GEMM); err == nil || !strings.Contains(text, want) {
		t.Fatalf("%v, want %q in\n%s", err, want, text)
	}
	if text, err = plain("train", "--out", parts, "--resume", "--device", "cpu", "--allow-other-bits"); err != nil ||
		!strings.Contains(text, "warning: device products: want "+d.GEMM) {
		t.Fatalf("%v\n%s", err, text)
	}
	var state struct {
		Device    map[string]string
		OtherBits []train.Deviation `json:"other_bits"`
	}
	content, err := os.ReadFile(statePath(parts))
	if err == nil {
		err = json.Unmarshal(content, &state)
	}
	want := []train.Deviation{{Step: 11, What: "device products", Want: d.GEMM, Got: "go"}}
	if d.GEMMBF16 != "" {
		want = append(want, train.Deviation{Step: 11, What: "device products of bf16", Want: d.GEMMBF16, Got: "none"})
	}
	vectors := strings.Replace(d.Vectors, "avx512", "avx2", 1) // which has its bits
	want = append(want, train.Deviation{Step: 11, What: "device vectors", Want: vectors, Got: "go"})
	if err != nil || !reflect.DeepEqual(state.OtherBits, want) || state.Device["products"] != "go" {
		t.Errorf("state.json says %+v, %v, want %v", state, err, want)
	}
}

// On Vulkan, shaders, subgroups and the device itself decide bits, and so does the processor
// in its place.
func TestResumeRefusesOtherShaders(t *testing.T) {
	if !strings.HasPrefix(testdevice.Name(), "vulkan") {
		t.Skip(testdevice.Variable + "=vulkan")
	}
	_, parts := interruptedRun(t, "--device", testdevice.Name())
	for env, want := range map[string]string{
		vulkan.PlainVariable + "=1":  "--resume: device shaders: want plain, ",
		"LP_NATIVE_VECTOR_WIDTH=128": "--resume: device: want vulkan (llvmpipe ", // it has the width in its name
		cpulevel.Variable + "=plain": "",                                         // not the processor's
	} {
		dir := damaged(t, parts, func(string, string) error { return nil })
		c := process("train", "--out", dir, "--resume", "--device", testdevice.Name())
		c.Env = append(c.Env, env)
		if text, err := c.CombinedOutput(); (err == nil) != (want == "") || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, want %q in\n%s", env, err, want, text)
		}
	}
	text, err := process("train", "--out", parts, "--resume", "--device", "cpu").CombinedOutput()
	if err == nil || !strings.Contains(string(text), "--resume: device: want vulkan (") ||
		!strings.Contains(string(text), "), with which the run began, got cpu") {
		t.Errorf("%v\n%s", err, text)
	}
}

// Weights that are to become the result are looked at before the run goes on, not at its end.
func TestResumeLooksAtTheBest(t *testing.T) {
	_, parts := interruptedRun(t, "--result", "best")
	dir := damaged(t, parts, func(dir, _ string) error {
		return flip(filepath.Join(dir, train.CheckpointsFolder, stepName(7), "adapter.safetensors"), 0.5)
	})
	code, _, stderr := agora(t, "train", "--out", dir, "--resume", "--device", "cpu")
	if code != 1 || !strings.Contains(stderr, "the best weights so far, which the result is to be made of: ") ||
		!strings.Contains(stderr, "step-000007/adapter.safetensors is not as it was written") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if code, _, stderr := agora(t, "train", "--out", dir, "--resume", "--device", "cpu",
		"--allow-other-bits"); code != 0 {
		t.Fatal(stderr)
	}
	noted(t, dir, "best checkpoint")
}

// No bit of a checkpoint can be another without a word.
func TestFlippedBits(t *testing.T) {
	_, parts := interruptedRun(t)
	last := filepath.Join(parts, train.CheckpointsFolder, stepName(11))
	entries, err := os.ReadDir(last)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	tried := 0
	for _, e := range entries {
		path := filepath.Join(last, e.Name())
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			bad := slices.Clone(good)
			at, bit := random.IntN(len(bad)), random.IntN(8)
			bad[at] ^= 1 << bit
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			if code, _, stderr := agora(t, "train", "--out", parts, "--resume", "--device", "cpu"); code != 1 ||
				!strings.Contains(stderr, e.Name()) {
				t.Errorf("bit %d of byte %d of %s: exit code %d\n%s", bit, at, e.Name(), code, stderr)
			}
			tried++
		}
		if err := os.WriteFile(path, good, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if tried < 160 {
		t.Errorf("%d bits", tried)
	}
}
