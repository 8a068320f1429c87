package tasks

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
)

// Prompts and choices equal, byte for byte, those that lm-evaluation-harness makes of the same
// rows; eval's golden test goes on from here to ids and likelihoods.
func TestGoldenPrompts(t *testing.T) {
	root, files := realdata.Folder(t), realdata.Golden(t, filepath.Join("eval", "*.jsonl"))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			task, err := Find(name)
			if err != nil {
				t.Fatal(err)
			}
			read := map[string]map[string]Example{}
			err = lines(file, nil, func(_ int, line []byte) error {
				var want struct {
					Row     string
					Prompt  string
					Choices []struct{ Text string }
					Gold    int
				}
				if err := json.Unmarshal(line, &want); err != nil {
					return err
				}
				path, _, _ := strings.Cut(want.Row, ":")
				path = filepath.Join(root, path)
				if read[path] == nil {
					examples, err := task.Read(path, 0)
					if err != nil {
						return err
					}
					read[path] = map[string]Example{}
					for _, e := range examples {
						read[path][e.ID] = e
					}
				}
				got, ok := read[path][want.Row[strings.LastIndex(want.Row, "/")+1:]]
				if !ok {
					t.Errorf("%s: no such row", want.Row)
					return nil
				}
				if got.Prompt != want.Prompt || got.Gold != want.Gold || len(got.Choices) != len(want.Choices) ||
					got.Answer != want.Choices[want.Gold].Text {
					t.Errorf("%s: got gold %d, %q\n%q\nwant %d\n%q",
						want.Row, got.Gold, got.Choices, got.Prompt, want.Gold, want.Prompt)
					return nil
				}
				for i, c := range want.Choices {
					if got.Choices[i] != c.Text {
						t.Errorf("%s: choice %d is %q, want %q", want.Row, i, got.Choices[i], c.Text)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
