package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/testdevice"
)

// otherProgram is a program that keeps what it is told in a file, and says answer.
func otherProgram(t *testing.T, answer string) (command, told string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	dir := t.TempDir()
	script, told := filepath.Join(dir, "other.sh"), filepath.Join(dir, "told.json")
	text := "cat >" + told + "\necho noise\ncat <<'E'\n" + answer + "\nE\n"
	if err := os.WriteFile(script, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return "sh " + script, told
}

// ownTurns makes the test binary the program of this program's turns.
func ownTurns(t *testing.T) {
	t.Helper()
	t.Setenv(asProgram, "1")
	was := ownProgram
	ownProgram = func() ([]string, error) { return slices.Clone(testdevice.Command(os.Args[0]).Args), nil }
	t.Cleanup(func() { ownProgram = was })
}

func TestBenchBeside(t *testing.T) {
	ownTurns(t)
	command, told := otherProgram(t, `{"name": "other", "tokens_per_s": 2, "best_tokens_per_s": 4, "process_bytes": 1048576, "peak_pooled_bytes": 3145728}`)
	settings := []string{"bench", "step", "--device", "cpu", "--shape", smallShape(t), "--batch-rows", "2", "--max-tokens", "16",
		"--rank", "2", "--modules", "2", "--targets", "[m]odel.*.[qv]_proj", "--warm-up", "1", "--steps", "1", "--threads", "1"}
	settings = append(settings, "--pairs", "3", "--beside", command)
	b := mustJSON[bench.Beside](t, append(settings, "--json")...)
	if b.Name != "other" || len(b.Pairs) != 3 || len(b.Rates) != 2 || b.Rates[0].Name != "tokens_per_s" {
		t.Fatalf("got %+v", b)
	}
	for i, r := range b.Rates {
		other := float64(2 + 2*i)
		if r.Other != (bench.Spread{Median: other, Min: other, Max: other}) || !(r.Own.Min > 0) ||
			r.Own.Min > r.Own.Median || r.Own.Median > r.Own.Max || r.Ratios.Max != r.Own.Max/other ||
			r.Best != r.Own.Max/other {
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
	text, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	var task map[string]any
	if err := json.Unmarshal(text, &task); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"method": "multilora", "modules": 2.0, "rank": 2.0, "dtype": "f32", "compute_dtype": "f32", "rows": 2.0,
		"tokens": 16.0, "accumulate": 1.0, "threads": 1.0, "warm_up": 1.0, "steps": 1.0,
	} {
		if task[field] != want {
			t.Errorf("the other program is told %s %v, want %v", field, task[field], want)
		}
	}
	if shape, ok := task["shape"].(map[string]any); !ok || shape["hidden_size"] == nil || shape["rms_norm_eps"] == nil {
		t.Errorf("the other program is told the shape %v", task["shape"])
	}
	code, out, _ := agora(t, settings...)
	memory := regexp.MustCompile(`memory of the process +[0-9]+ MiB +1 MiB [^\n]*\nmemory of the device +[0-9]+ MiB +3 MiB`)
	if code != 0 || !strings.Contains(out, "beside other, 3 pairs") || !memory.MatchString(out) {
		t.Errorf("exit code %d, got\n%s", code, out)
	}
}

func TestBenchBesideErrors(t *testing.T) {
	ownTurns(t)
	shape := smallShape(t)
	for answer, want := range map[string]string{
		`{"name": "other", "tokens_per_s": 2}`:          "field prompt_tokens_per_s: want a positive number, got <nil>",
		`{"tokens_per_s": 2, "prompt_tokens_per_s": 0}`: "field prompt_tokens_per_s: want a positive number, got 0",
		`no JSON`: "want JSON",
		`{"a":`:   "want JSON, got unexpected EOF\n",
	} {
		command, _ := otherProgram(t, answer)
		_, _, stderr := agora(t, "bench", "generate", "--device", "cpu", "--shape", shape, "--prompt", "2", "--tokens", "2",
			"--rounds", "1", "--pairs", "1", "--beside", command)
		if !strings.Contains(stderr, want) {
			t.Errorf("%s: got %q, want %q", answer, stderr, want)
		}
	}
	command, _ := otherProgram(t, `{"tokens_per_s": 2, "best_tokens_per_s": 4, "trained": 5}`)
	_, _, stderr := agora(t, "bench", "step", "--device", "cpu", "--shape", shape, "--steps", "1", "--warm-up", "1", "--pairs",
		"1", "--beside", command)
	if !strings.Contains(stderr, "got 5: another model") {
		t.Errorf("of another model: %q", stderr)
	}
	if _, _, stderr = agora(t, "bench", "step", "--shape", shape, "--beside", ""); !strings.Contains(stderr,
		"want a command, got none") {
		t.Errorf("with no command: %q", stderr)
	}
	if _, _, stderr = agora(t, "bench", "step", "--shape", shape, "--beside", "no-such-program-here"); !strings.Contains(
		stderr, "no-such-program-here") {
		t.Errorf("without a program: %q", stderr)
	}
}

func TestBenchGEMMBeside(t *testing.T) {
	ownTurns(t)
	command, told := otherProgram(t, `{"name": "other", "rates": {"f32 NT 8 x 16 x 32": 3, "f32 TN 8 x 16 x 32": 5}}`)
	args := []string{"bench", "gemm", "--device", "cpu", "--threads", "1", "--sizes", "8x16x32", "--layouts", "NT,TN", "--rounds", "2",
		"--round", "1ms", "--pairs", "2", "--beside", command}
	b := mustJSON[bench.Beside](t, append(args, "--json")...)
	if len(b.Rates) != 2 || b.Rates[0].Name != "f32 NT 8 x 16 x 32" || b.Rates[0].Other.Median != 3 ||
		b.Rates[1].Other.Median != 5 || !(b.Rates[0].Own.Min > 0) || b.Rates[1].Best != b.Rates[1].Own.Max/5 {
		t.Errorf("got %+v", b)
	}
	var task productsTask
	if text, err := os.ReadFile(told); err != nil {
		t.Fatal(err)
	} else if err := json.Unmarshal(text, &task); err != nil {
		t.Fatal(err)
	}
	want := []namedProduct{
		{"f32 NT 8 x 16 x 32", "f32", "NT", 8, 16, 32}, {"f32 TN 8 x 16 x 32", "f32", "TN", 8, 16, 32},
	}
	if !slices.Equal(task.Products, want) || task.Rounds != 2 || task.Seconds != 0.001 || task.Threads != 1 {
		t.Errorf("the other program is told %+v", task)
	}
	if code, out, _ := agora(t, args...); code != 0 || !strings.Contains(out, "f32 NT 8 x 16 x 32") {
		t.Errorf("exit code %d, got\n%s", code, out)
	}
	if _, _, stderr := agora(t, append(args, "--sweep")...); !strings.Contains(stderr, "--beside: want it without --sweep") {
		t.Errorf("with --sweep: %q", stderr)
	}
}

// A flag is given to this program once more as it has been given, also a list of nothing, or of what has commas in it.
func TestAgainAs(t *testing.T) {
	for _, given := range [][]string{
		{"--list="}, {`--list="a,b",c`}, {`--list=a`, `--list="b ""c"""`}, {`--list=""`}, {"--array="}, {"--array=a,b", "--array=c"}, {"--text="},
		{"--text=[a]"},
	} {
		values := func(args []string) (all []any, again []string) {
			fl := pflag.NewFlagSet("", pflag.ContinueOnError)
			list := fl.StringSlice("list", []string{"d"}, "")
			array, text := fl.StringArray("array", []string{"d"}, ""), fl.String("text", "d", "")
			if err := fl.Parse(args); err != nil {
				t.Fatalf("%q: %v", args, err)
			}
			fl.Visit(func(flag *pflag.Flag) { again = append(again, againAs(flag)...) })
			return []any{*list, *array, *text}, again
		}
		want, again := values(given)
		if got, _ := values(again); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is given again as %q, which is %q, want %q", given, again, got, want)
		}
	}
}
