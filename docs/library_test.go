// Package docs_test holds the snippets of library.md as examples that are run.
package docs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/train"
)

// Program is a whole program around a snippet.
func Example_program() {
	d, err := device.Open("auto")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	x := d.FromFloat32s(tensor.F32, []float32{3, 4}, 2)
	fmt.Println(x.Shape(), x.DType())
	// Output: [2] f32
}

func Example_network() {
	d, err := device.Open("auto")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	weights := nn.NewInitializer(d, 1) // random initial values of seed 1
	model := &struct {
		Net nn.Sequential `name:"net"`
	}{nn.Sequential{
		nn.NewLinear(weights, 2, 16, true), nn.Func(ops.Tanh),
		nn.NewLinear(weights, 16, 2, true),
	}}
	params, err := optim.Gather(d, model) // everything that trains
	if err != nil {
		log.Fatal(err)
	}
	adam, err := optim.New(params, optim.DefaultAdamW())
	if err != nil {
		log.Fatal(err)
	}

	// Exclusive or: four points and their labels.
	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{0, 0, 0, 1, 1, 0, 1, 1}, 4, 2))
	labels := autograd.Const(d.FromInt32s([]int32{0, 1, 1, 0}, 4))
	var last float32
	for range 300 {
		tape := autograd.NewTape(d)
		loss := ops.CrossEntropy(model.Net.Forward(x), labels, 4)
		tape.Backward(loss)
		adam.Step(0.02)
		params.ZeroGrad()
		values, err := loss.Tensor().Float32s() // waits for the device
		if err != nil {
			log.Fatal(err)
		}
		last = values[0]
		tape.Close() // frees what the step has made
	}
	fmt.Println("learned:", last < 0.1)
	// Output: learned: true
}

func Example_generate() {
	d, err := device.Open("auto")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	model, err := llama.Load(context.Background(), d, "models/llama", llama.LoadOptions{DType: tensor.BF16})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := tokenizer.Load("models/llama")
	if err != nil {
		log.Fatal(err)
	}
	prompt := tok.Encode("Once upon a time")
	if bos, ok := tok.BOS(); ok {
		prompt = append([]int32{bos}, prompt...)
	}
	var answer []int32
	for id, err := range model.Generate(context.Background(), prompt,
		llama.GenerateOptions{MaxTokens: 20, Temperature: 0.8, TopP: 0.9}) {
		if err != nil {
			log.Fatal(err)
		}
		answer = append(answer, id)
	}
	fmt.Println(len(answer), "tokens")
	_ = tok.Decode(answer) // the text
	// Output: 20 tokens
}

func Example_adapter() {
	d, err := device.Open("auto")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	model, err := llama.Load(context.Background(), d, "models/llama", llama.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := tokenizer.Load("models/llama")
	if err != nil {
		log.Fatal(err)
	}

	// Rows to batches. Labels count in the loss where they are not -100.
	rows, _, err := data.Read(context.Background(), []string{"mine.jsonl"}, data.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	sequences, counts, err := data.Tokenize(context.Background(), tok, rows, data.TokenizeOptions{MaxTokens: 256})
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(sequences, data.LoaderOptions{Rows: 4, Workers: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer loader.Close()

	// Three modules of rank 8 beside every linear layer; the model itself is frozen.
	adapter, err := multilora.Attach(model, multilora.Defaults(), 1)
	if err != nil {
		log.Fatal(err)
	}
	params, err := optim.Gather(d, model, optim.Group{Match: "*.s", LRFactor: 10}) // the scales learn faster
	if err != nil {
		log.Fatal(err)
	}
	adam, err := optim.New(params, optim.DefaultAdamW())
	if err != nil {
		log.Fatal(err)
	}

	const steps = 5
	trainer := train.Trainer{
		Device: d, Model: model, Trainable: params, Optimizer: adam,
		Schedule: optim.Cosine(2, steps), LR: 1e-3, ClipNorm: 1,
	}
	for range steps {
		result, err := trainer.Step([]data.Batch{loader.Next()})
		if err != nil {
			log.Fatal(err)
		}
		_ = result.Loss // mean nats a counted token
	}
	if err := adapter.Save("my-adapter"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(counts.Rows, "rows,", len(adapter.Layers()), "layers")
	// Output: 30 rows, 14 layers
}

func Example_run() {
	d, err := device.Open("auto")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	cfg := train.Defaults()
	cfg.Model, cfg.Data, cfg.Out = "models/llama", train.Files("mine.jsonl"), "my-run"
	cfg.Steps, cfg.HeldOut, cfg.EvalEvery = 4, 8, 2
	cfg.Resolve()
	summary, err := train.Run(context.Background(), d, cfg, quiet{}, train.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.Steps, "steps, held-out loss measured:", summary.HeldOutAfter != nil)
	// Output: 4 steps, held-out loss measured: true
}

// quiet is a train.Progress that shows nothing.
type quiet struct{}

func (quiet) Say(string)          {}
func (quiet) Begin(int, int)      {}
func (quiet) Record(train.Record) {}

func Example_result() {
	d, err := device.Open("auto")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	model, err := llama.Load(context.Background(), d, "models/llama", llama.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	adapter, err := multilora.Open(model, "my-adapter", multilora.Options{}) // Agora's form, PEFT's, or a GGUF file
	if err != nil {
		log.Fatal(err)
	}
	values, err := adapter.SingularValues(adapter.Layers()[0]) // of the weight's change
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(values), "singular values")
	if err := adapter.SavePEFT("for-peft"); err != nil {
		log.Fatal(err)
	}
	if _, err := adapter.Merge(); err != nil { // into the model's weights
		log.Fatal(err)
	}
	if err := model.Save("merged"); err != nil {
		log.Fatal(err)
	}
	// Output: 24 singular values
}

// TestMain gives the examples a folder with a model, its tokenizer and rows.
func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	if dir, err := os.Getwd(); err == nil {
		_ = os.Chdir(home)
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

var home string // where the documents are

func prepare() (err error) {
	if home, err = os.Getwd(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "agora-library-")
	if err != nil {
		return err
	}
	tok, err := os.ReadFile("../tokenizer/testdata/bytes.json")
	if err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	d, err := device.Open("cpu")
	if err != nil {
		return err
	}
	defer d.Close()
	model, err := llama.New(d, llama.Config{
		ModelType: "llama", Vocab: 282, Hidden: 32, Intermediate: 88, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8,
		MaxPositions: 512, NormEps: 1e-5, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, BOS: 280,
		EOS: []int32{281},
	}, 1)
	if err != nil {
		return err
	}
	if err := model.Save("models/llama"); err != nil {
		return err
	}
	if err := os.WriteFile("models/llama/tokenizer.json", tok, 0o666); err != nil {
		return err
	}
	adapter, err := multilora.Attach(model, multilora.Defaults(), 1)
	if err != nil {
		return err
	}
	if err := adapter.Save("my-adapter"); err != nil {
		return err
	}
	f, err := os.Create("mine.jsonl")
	if err != nil {
		return err
	}
	rows := json.NewEncoder(f)
	for i := range 30 {
		if err := rows.Encode(map[string]string{"instruction": fmt.Sprint("Say ", i),
			"output": fmt.Sprint(i)}); err != nil {
			return err
		}
	}
	return f.Close()
}

// Every block of Go in the documents is the body of an example that is run.
func TestBlocksAreExamples(t *testing.T) {
	bodies := map[string]bool{}
	for _, file := range []string{"library_test.go", "../autograd/example_test.go"} {
		for _, body := range examples(t, filepath.Join(home, file)) {
			bodies[body] = false
		}
	}
	block := regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	for _, file := range []string{"library.md", "../README.md"} {
		text, err := os.ReadFile(filepath.Join(home, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllSubmatch(text, -1) {
			code := withoutOutput(string(m[1]))
			if _, ok := bodies[code]; !ok {
				t.Errorf("%s: no example of library_test.go or autograd has this body:\n%s", file, m[1])
			}
			bodies[code] = true
		}
	}
	for body, used := range bodies {
		if !used {
			t.Errorf("in no document:\n%s", body)
		}
	}
}

// examples are the bodies of the examples in a file, as a document shows them.
func examples(t *testing.T, path string) (bodies []string) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Example") {
			body := src[fset.Position(fn.Body.Lbrace).Offset+1 : fset.Position(fn.Body.Rbrace).Offset]
			formatted, err := format.Source(body)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.Trim(string(formatted), "\n"), "\n")
			for i, line := range lines {
				lines[i] = strings.TrimPrefix(line, "\t")
			}
			bodies = append(bodies, withoutOutput(strings.Join(lines, "\n")))
		}
	}
	return bodies
}

// withoutOutput cuts the comment of what is printed, which examples and documents put in their own places.
func withoutOutput(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "// Output:") })
	last := len(lines) - 1
	if at := strings.LastIndex(lines[last], " // "); at >= 0 && strings.HasPrefix(lines[last], "fmt.Print") {
		lines[last] = lines[last][:at]
	}
	return strings.Join(lines, "\n")
}
