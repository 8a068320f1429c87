package train_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/train"
)

// A whole run: settings as agora train has them, and the adapter in a folder.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "agora")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	model, rows := exampleFiles(dir)
	d, err := device.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	cfg := train.Defaults()
	cfg.Model, cfg.Data, cfg.Out = model, train.Files(rows), filepath.Join(dir, "my-adapter")
	cfg.MaxTokens, cfg.Steps, cfg.HeldOut = 32, 4, 4
	summary, err := train.Run(context.Background(), d, cfg, silent{}, train.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.Steps, "steps on", summary.TrainRows, "rows")
	// Output: 4 steps on 16 rows
}

// A model learns which of two answers is better, against itself without the adapter.
func ExamplePreference() {
	dir, err := os.MkdirTemp("", "agora")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	folder, _ := exampleFiles(dir)
	d, err := device.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	model, err := llama.Load(context.Background(), d, folder, llama.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}

	cfg := train.Defaults()
	cfg.Objective, cfg.Beta, cfg.LR, cfg.MaxTokens = train.DPO, 0.1, 1e-2, 32
	trainer, err := train.NewTrainer(model, cfg)
	if err != nil {
		log.Fatal(err)
	}
	prompt := []int32{0, 20, 21}
	pair, worse := data.NewSequence(prompt, []int32{30, 31, 1}, 32), data.NewSequence(prompt, []int32{40, 1}, 32)
	pair.Judgment, worse.Judgment, pair.Rejected = data.Chosen, data.Rejected, &worse
	batches := []data.Batch{data.Collate([]data.Sequence{pair})}
	for range 20 {
		if _, err := trainer.Step(batches); err != nil {
			log.Fatal(err)
		}
	}
	_, metrics, err := trainer.Preference.Evaluate(context.Background(), model, batches)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the better answer has the higher reward:", *metrics.Margin > 0.1, metrics.Accuracy)
	// Output: the better answer has the higher reward: true 1
}

// Settings are read from YAML, checked, and listed with what they mean.
func ExampleConfig() {
	cfg := train.Defaults()
	cfg.Model, cfg.Out, cfg.Data = "models/llama", "my-adapter", train.Files("mine.jsonl")
	cfg.Steps = 0
	fmt.Println(cfg.Validate())
	for _, s := range cfg.Settings() {
		if s.Name == "schedule" {
			fmt.Println(s.Name, s, s.Resume, "-", s.Help())
		}
	}
	// Output:
	// --steps: want at least 1, got 0
	// schedule cosine fixed - of the learning rate: cosine, linear or constant
}

// silent is a Progress that shows nothing.
type silent struct{}

func (silent) Say(string)          {}
func (silent) Begin(int, int)      {}
func (silent) Record(train.Record) {}

// exampleFiles makes a model of random weights, and a file of rows.
func exampleFiles(dir string) (model, rows string) {
	rows = filepath.Join(dir, "mine.jsonl")
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, `{"prompt": "%d", "completion": "%d"}`+"\n", i, i+1)
	}
	if err := os.WriteFile(rows, []byte(text.String()), 0o666); err != nil {
		log.Fatal(err)
	}
	return tinymodel.Write(folder(dir)), rows
}

// folder is what tinymodel.Write needs of a test.
type folder string

func (folder) Helper()           {}
func (f folder) TempDir() string { return string(f) }
func (folder) Fatal(args ...any) { log.Fatal(args...) }
