package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/train"
)

// packedModel is a golden folder whose matrices are packed, with a tokenizer.
func packedModel(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(golden.Folder(t), name))); err != nil {
		t.Fatal(err)
	}
	plain := tinymodel.Write(t)
	for _, file := range []string{"tokenizer.json", "tokenizer_config.json"} {
		text, err := os.ReadFile(filepath.Join(plain, file))
		if err != nil {
			t.Fatal(err)
		}
		writeFiles(t, dir, map[string]string{file: string(text)})
	}
	return dir
}

// Folders that other programs have quantized go the whole way: inspected, planned, trained on, generated with and
// merged; what is merged is a plain folder, and gives the same texts.
func TestPackedFoldersGoTheWholeWay(t *testing.T) {
	for name, want := range map[string]struct {
		quantization, dtype string
		parameters          int
	}{
		"llama-nf4":  {"bitsandbytes (nf4)", "NF4", 94400},
		"llama-fp4":  {"bitsandbytes (fp4)", "FP4", 51392},
		"llama-gptq": {"gptq", "U4", 69824},
		"llama-awq":  {"awq", "U4", 69824},
		"qwen3-fp8":  {"fp8", "FP8", 131528},
	} {
		t.Run(name, func(t *testing.T) {
			model := packedModel(t, name)
			i := mustJSON[inspection](t, "inspect", model)
			held := func(s stored) bool { return s.DType == want.dtype }
			if i.About["quantization"] != want.quantization || i.Parameters != want.parameters ||
				!slices.ContainsFunc(i.Storage, held) {
				t.Errorf("it is %v of %d parameters, stored as %v", i.About["quantization"], i.Parameters, i.Storage)
			}
			settings := []string{"--max-tokens", "64"}
			blocks := mustJSON[train.Plan](t, append([]string{"plan", "--model", model}, settings...)...)
			wide := mustJSON[train.Plan](t, "plan", "--model", model, "--max-tokens", "64", "--dtype", "f32")
			if blocks.Memory.Weights >= wide.Memory.Weights*3/5 {
				t.Errorf("a plan of %d bytes of weights, in f32 %d", blocks.Memory.Weights, wide.Memory.Weights)
			}
			rows, adapter := filepath.Join(t.TempDir(), "rows.jsonl"), filepath.Join(t.TempDir(), "adapter")
			var text strings.Builder
			for _, w := range strings.Fields("cat dog bird fish cow hen ant bee owl fox pig rat") {
				fmt.Fprintf(&text, `{"prompt": "%s:", "completion": "The %s is happy."}`+"\n", w, w)
			}
			writeFiles(t, filepath.Dir(rows), map[string]string{"rows.jsonl": text.String()})
			run := mustJSON[train.Summary](t, append([]string{"train", "--model", model, "--data", rows, "--out", adapter,
				"--steps", "12", "--lr", "1e-2", "--held-out", "2"}, settings...)...)
			if !(*run.HeldOutAfter < *run.HeldOutBefore) {
				t.Errorf("held-out loss %v, then %v", *run.HeldOutBefore, *run.HeldOutAfter)
			}

			write := []string{"generate", "--prompt", "1:", "--greedy", "--max-tokens", "9", "--ignore-eos"}
			packed := append(slices.Clone(write), "--model", model, "--adapter", adapter)
			texts := mustJSON[generation](t, packed...)
			if f32 := mustJSON[generation](t, append(packed, "--dtype", "f32")...); !slices.Equal(texts.IDs, f32.IDs) {
				t.Errorf("in blocks %v, in f32 %v", texts.IDs, f32.IDs)
			}
			out := filepath.Join(t.TempDir(), "merged")
			mustJSON[mergeReport](t, "merge", "--model", model, "--adapter", adapter, "--dtype", "f32", "--out", out)
			if got := mustJSON[generation](t, append(write, "--model", out)...); !slices.Equal(got.IDs, texts.IDs) {
				t.Errorf("merged it gives %v, want %v", got.IDs, texts.IDs)
			}
			if text, err := os.ReadFile(filepath.Join(out, llama.ConfigFile)); err != nil ||
				strings.Contains(string(text), "quantization_config") {
				t.Errorf("the merged folder's configuration is %s, error %v", text, err)
			}
		})
	}
}
