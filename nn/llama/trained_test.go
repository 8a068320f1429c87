package llama

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/tokenizer"
)

// readJSON reads a file beside a trained model in AGORA_DATA.
func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Trained models against another program's run of them (MANIFEST.md of the data says
// which): every arg max, log-sum-exp and logit of a story, and greedy texts.
func TestTrainedModels(t *testing.T) {
	data := realdata.Folder(t)
	for _, name := range []string{"stories260K-hf", "babyllama-tok105-hf"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(data, "models", name)
			d := open(t)
			m := load(t, d, dir)

			var ref struct {
				IDs []int32
				Pos []struct {
					ArgMax int
					LSE    float64
					Logits []float32
				}
			}
			readJSON(t, filepath.Join(dir, "reference.json"), &ref)
			if len(ref.IDs) != 200 || len(ref.Pos) != 200 {
				t.Fatalf("reference.json has %d ids and %d positions, want 200", len(ref.IDs), len(ref.Pos))
			}
			all := logits(t, m, Batch{Rows: 1, IDs: ref.IDs})
			for i, want := range ref.Pos {
				row := all[i*m.Config.Vocab : (i+1)*m.Config.Vocab]
				best := slices.Index(row, slices.Max(row))
				sum := 0.0
				for _, v := range row {
					sum += math.Exp(float64(v) - float64(row[best]))
				}
				if lse := float64(row[best]) + math.Log(sum); best != want.ArgMax || math.Abs(lse-want.LSE) > 1e-3 {
					t.Errorf("position %d: arg max %d, log-sum-exp %v; want %d, %v", i, best, lse, want.ArgMax,
						want.LSE)
				}
				for j, v := range want.Logits {
					if math.Abs(float64(row[j]-v)) > 1e-3 {
						t.Errorf("position %d: logit %d is %v, want %v", i, j, row[j], v)
						break
					}
				}
			}

			var texts []struct {
				Prompt string
				IDs    []int32
			}
			readJSON(t, filepath.Join(dir, "greedy.json"), &texts)
			if len(texts) == 0 {
				t.Fatal("greedy.json is empty")
			}
			tok, err := tokenizer.Load(filepath.Join(dir, "tokenizer.model"))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range texts {
				prompt := tokenizer.EncodeWithBOS(tok, text.Prompt)
				if got := generate(t, m, prompt, len(text.IDs)-len(prompt)); !slices.Equal(got, text.IDs) {
					t.Errorf("%q continues as\n%v, want\n%v", text.Prompt, got, text.IDs)
				}
			}
		})
	}
}
