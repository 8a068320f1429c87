package eval

import (
	"bufio"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tasks"
	"github.com/agora-ml/agora/tokenizer"
)

// goldenRow is a row of a data set as transformers has scored it.
type goldenRow struct {
	Row       string
	Prompt    string
	PromptIDs []int32 `json:"prompt_ids"`
	Choices   []struct {
		Text          string
		IDs           []int32
		LogLikelihood float64 `json:"loglikelihood"`
	}
	Gold, Predicted int
}

func readGolden(t *testing.T, path string) (rows []goldenRow) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var r goldenRow
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

// trainedAsAsked checks that training on an example counts the ids that evaluation asks for, and the end.
func trainedAsAsked(t *testing.T, tok tokenizer.Tokenizer, e tasks.Example, q question) {
	t.Helper()
	seqs, _, err := data.Tokenize(t.Context(), tok, tasks.Rows([]tasks.Example{e}), data.TokenizeOptions{MaxTokens: 1 << 20})
	if err != nil || len(seqs) != 1 {
		t.Fatalf("%s: %d sequences, error %v", e.ID, len(seqs), err)
	}
	eos, _ := tok.EOS()
	answer := append(slices.Clone(q.answers[slices.Index(e.Choices, e.Answer)]), eos)
	if want := slices.Concat(q.context, answer); !slices.Equal(seqs[0].IDs, want[:len(seqs[0].IDs)]) ||
		seqs[0].Counted() != len(answer) {
		t.Errorf("%s: training counts %d ids of %v, want the %d last of %v", e.ID, seqs[0].Counted(), seqs[0].IDs,
			len(answer), want)
	}
}

// Ids and log-likelihoods of real rows are those of transformers with stories260K, whatever the
// batches: alone, a few, many at once.
func TestGoldenLogLikelihoods(t *testing.T) {
	root, files := realdata.Folder(t), realdata.Golden(t, filepath.Join("eval", "*.jsonl"))
	s := subject(t, filepath.Join(root, "models", "stories260K-hf"))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			kind, err := tasks.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			rows := readGolden(t, file)
			read := map[string][]tasks.Example{}
			var examples []tasks.Example
			for _, r := range rows {
				path, _, _ := strings.Cut(r.Row, ":")
				if read[path] == nil {
					if read[path], err = kind.Read(filepath.Join(root, path), 0); err != nil {
						t.Fatal(err)
					}
				}
				i := slices.IndexFunc(read[path], func(e tasks.Example) bool {
					return strings.HasSuffix(r.Row, "/"+e.ID)
				})
				e := read[path][i]
				q, err := ask(s.Tokenizer, e.ID, e.Prompt, e.Choices)
				if err != nil {
					t.Fatal(err)
				}
				trainedAsAsked(t, s.Tokenizer, e, q)
				if !slices.Equal(q.context, r.PromptIDs) {
					t.Errorf("%s: the prompt's ids differ", r.Row)
				}
				for k, c := range r.Choices {
					if !slices.Equal(q.answers[k], c.IDs) {
						t.Errorf("%s: choice %d has ids %v, want %v", r.Row, k, q.answers[k], c.IDs)
					}
				}
				examples = append(examples, e)
			}
			task, err := NewTask(name, examples)
			if err != nil {
				t.Fatal(err)
			}
			for _, batchTokens := range []int{1, 700, 1 << 20} {
				results := map[string]Result{}
				_, err := task.Run(context.Background(), s,
					Options{BatchTokens: batchTokens, Record: func(r Result) error {
						results[r.ID] = r
						return nil
					}})
				if err != nil {
					t.Fatal(err)
				}
				for i, want := range rows {
					got := results[examples[i].ID]
					if got.Gold != want.Gold || got.Predicted != want.Predicted {
						t.Errorf("%s: predicted %d of gold %d, want %d of %d",
							want.Row, got.Predicted, got.Gold, want.Predicted, want.Gold)
					}
					for k, c := range want.Choices {
						if math.Abs(got.LogLikelihoods[k]-c.LogLikelihood) > 1e-3 {
							t.Errorf("%s: choice %d: %.5f, want %.5f", want.Row, k, got.LogLikelihoods[k],
								c.LogLikelihood)
						}
					}
				}
			}
		})
	}
}

// subject loads a model and its tokenizer.
func subject(t *testing.T, dir string) Subject {
	t.Helper()
	m, err := llama.Load(t.Context(), open(t), dir, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return Subject{m, tok}
}
