package data

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// Rows that Hugging Face's datasets wrote (tools/golden/arrow.py) are those of the same rows in JSON.
func TestFoldersOfDatasets(t *testing.T) {
	const root = "testdata/arrow"
	for _, c := range []struct {
		folder, heldOut       string
		files, held, others   string
		first, last, firstOut string // rows, by their first messages
	}{
		{"saved", "", "data-00000-of-00002.arrow data-00001-of-00002.arrow", "", "", "0 + 0?", "4 + 4?", ""},
		{"dict", "", "train/data-00000-of-00001.arrow", "", "validation test", "0 + 0?", "2 + 2?", ""},
		{"dict", "validation", "train/data-00000-of-00001.arrow", "validation/data-00000-of-00001.arrow", "test", "0 + 0?",
			"2 + 2?", "100 + 100?"},
		{"dict", "eval", "train/data-00000-of-00001.arrow", "test/data-00000-of-00001.arrow", "validation", "0 + 0?",
			"2 + 2?", "200 + 200?"},
		{"dict/test", "", "data-00000-of-00001.arrow", "", "", "200 + 200?", "200 + 200?", ""},
		{"cache", "", "json-train.arrow", "", "json-validation.arrow", "0 + 0?", "2 + 2?", ""},
		{"cache", "val", "json-train.arrow", "json-validation.arrow", "", "0 + 0?", "2 + 2?", "100 + 100?"},
	} {
		dir := filepath.Join(root, c.folder)
		l, err := list(dir, c.heldOut)
		if err != nil || named(dir, l.files) != c.files || named(dir, l.heldOut) != c.held ||
			named(dir, l.others) != c.others {
			t.Errorf("%s, %q: files %s, held out %s, others %s, error %v", c.folder, c.heldOut, named(dir, l.files),
				named(dir, l.heldOut), named(dir, l.others), err)
		}
		rows, _, err := Read(t.Context(), []string{dir}, ReadOptions{HeldOutSplit: c.heldOut})
		if err != nil {
			t.Errorf("%s: %v", c.folder, err)
			continue
		}
		out := 0
		for _, r := range rows {
			if r.HeldOut {
				out++
				if out == 1 && r.Messages[0].Content != c.firstOut {
					t.Errorf("%s: first held out %+v, want %s", c.folder, r, c.firstOut)
				}
			}
		}
		last := rows[len(rows)-1-out]
		if rows[0].Messages[0].Content != c.first || last.Messages[0].Content != c.last || (out > 0) != (c.firstOut != "") {
			t.Errorf("%s: rows from %+v to %+v, want %s to %s; %d held out", c.folder, rows[0], last, c.first, c.last, out)
		}
	}
}

func TestFoldersOfDatasetsAreRefused(t *testing.T) {
	state := func(files string) string { return `{"_data_files": ` + files + `, "_split": "train"}` }
	for _, c := range []struct {
		name    string
		files   map[string]string
		heldOut string
		fails   string
	}{
		{"no files", map[string]string{"state.json": state("[]")}, "", "state.json: _data_files: want files of rows, got none"},
		{"files elsewhere", map[string]string{"state.json": state(`[{"filename": "../a.arrow"}]`)}, "",
			`want files of rows within the folder, got "../a.arrow"`},
		{"files of something else", map[string]string{"state.json": state(`[{"filename": "a.png"}]`)}, "", `got "a.png"`},
		{"a file that is not there", map[string]string{"state.json": state(`[{"filename": "a.arrow"}]`)}, "", "a.arrow"},
		{"indices", map[string]string{"state.json": `{"_data_files": [{"filename": "a.arrow"}], ` +
			`"_indices_data_files": [{"filename": "i.arrow"}]}`}, "", "got one of which indices say which rows are meant"},
		{"no JSON", map[string]string{"state.json": "["}, "", "state.json: "},
		{"a split elsewhere", map[string]string{"dataset_dict.json": `{"splits": ["train", "../x"]}`}, "",
			`splits: want names of folders, got "../x"`},
		{"a split that is not there", map[string]string{"dataset_dict.json": `{"splits": ["train"]}`}, "",
			"want a state.json in it"},
		{"no train", map[string]string{"dataset_dict.json": `{"splits": ["test", "validation"]}`}, "",
			"want one split to train on, got test, validation; name the folder to read"},
		{"two to train on", map[string]string{"dataset_dict.json": `{"splits": ["train_a", "train_b"]}`}, "",
			"want one split to train on, got train_a, train_b"},
		{"two to hold out", map[string]string{"dataset_dict.json": `{"splits": ["train", "test_a", "test_b"]}`}, "test",
			"want one split to hold out, got test_a, test_b"},
		{"train twice", map[string]string{"dataset_dict.json": `{"splits": ["train"]}`}, "training",
			"want another split to hold out than that to train on, got train twice"},
		{"another file in the cache", map[string]string{"dataset_info.json": `{"splits": {"train": {}}}`, "a.arrow": "x"},
			"",
			`want files of the splits that dataset_info.json names, got "a.arrow"`},
		{"a cache of no train", map[string]string{"dataset_info.json": `{"splits": {"test": {}}}`, "a-test.arrow": "x"}, "",
			"want files of the split train, got none"},
	} {
		dir := saveFolder(t, "", maps.Clone(c.files))
		_, _, err := Read(t.Context(), []string{dir}, ReadOptions{HeldOutSplit: c.heldOut})
		if err == nil || !strings.Contains(err.Error(), c.fails) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.fails)
		}
	}
}

// The split to hold out is found wherever splits are told: by names of files and folders, by the card, by patterns.
func TestHeldOutSplit(t *testing.T) {
	const card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: train_sft, path: a.jsonl}\n" +
		"  - {split: test_sft, path: b.jsonl}\n  - {split: test_gen, path: c.jsonl}\n---\n"
	const shards = "data/train-00000-of-00001.jsonl data/validation-00000-of-00002.jsonl " +
		"data/validation-00001-of-00002.jsonl data/test-00000-of-00001.jsonl"
	for _, c := range []struct {
		names, card, ask, split string
		files, held, others     string
		fails                   string
	}{
		{shards, "", "", "valid", "data/train-00000-of-00001.jsonl",
			"data/validation-00000-of-00002.jsonl data/validation-00001-of-00002.jsonl", "data/test-00000-of-00001.jsonl", ""},
		{shards, "", "", "Validation", "data/train-00000-of-00001.jsonl",
			"data/validation-00000-of-00002.jsonl data/validation-00001-of-00002.jsonl", "data/test-00000-of-00001.jsonl", ""},
		{shards, "", "data/[tv]*", "test",
			"data/train-00000-of-00001.jsonl data/validation-00000-of-00002.jsonl data/validation-00001-of-00002.jsonl",
			"data/test-00000-of-00001.jsonl", "", ""},
		{shards, "", "data/train*", "test", "", "", "", `held-out-split: want rows of the split "test" in`},
		{shards, "", "data/test*", "test", "", "", "", "want rows to train on beside the split"},
		{shards, "", "", "holdout", "", "", "", "got test, train, validation"},
		{"a.jsonl b.jsonl", "", "", "validation", "", "", "", "got no splits"},
		{"train/a.csv val/a.csv val/b.csv test/a.csv", "", "", "validation", "train/a.csv", "val/a.csv val/b.csv", "test",
			""},
		{"train/a.csv val/a.png", "", "", "validation", "", "", "", `got "val/a.png" too`},
		{"a.jsonl b.jsonl c.jsonl", card, "", "test_gen", "a.jsonl", "c.jsonl", "b.jsonl", ""},
		{"a.jsonl b.jsonl c.jsonl", card, "", "test", "", "", "", "want one split to hold out, got test_sft, test_gen"},
		{"a.jsonl b.jsonl c.jsonl", card, "", "train_sft", "", "", "", "both"},
		{"train_sft-00000-of-00001.csv test_sft-00000-of-00001.csv test_gen-00000-of-00001.csv", "", "", "test_sft",
			"train_sft-00000-of-00001.csv", "test_sft-00000-of-00001.csv", "test_gen-00000-of-00001.csv", ""},
		{"train.jsonl dev.jsonl", "", "*.jsonl", "validation", "train.jsonl", "dev.jsonl", "", ""},
	} {
		contents := map[string]string{}
		if c.card != "" {
			contents["README.md"] = c.card
		}
		dir := saveFolder(t, c.names, contents)
		l, err := listAll([]string{filepath.Join(dir, filepath.FromSlash(c.ask))}, c.split)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s %q of %s: error %v, want %q", c.ask, c.split, c.names, err, c.fails)
			}
			continue
		}
		if err != nil || named(dir, l.files) != c.files || named(dir, l.heldOut) != c.held ||
			named(dir, l.others) != c.others {
			t.Errorf("%s %q of %s: files %s, held out %s, others %s, error %v", c.ask, c.split, c.names,
				named(dir, l.files), named(dir, l.heldOut), named(dir, l.others), err)
		}
		files, held, err := SplitFiles(filepath.Join(dir, filepath.FromSlash(c.ask)), c.split)
		if err != nil || named(dir, files) != c.files || named(dir, held) != c.held {
			t.Errorf("SplitFiles: %v and %v, error %v", files, held, err)
		}
	}
}

// A sequence of a held-out row is one, both answers of a pair are, and rows that are on both sides are told.
func TestHeldOutRows(t *testing.T) {
	tok, _ := chatFolder(t, "")
	dir := saveFolder(t, "", map[string]string{
		"train.jsonl": `{"prompt": "a", "chosen": "b", "rejected": "c"}{"prompt": "d", "chosen": "e", "rejected": "f"}`,
		"test.jsonl":  `{"prompt": "a", "chosen": "b", "rejected": "c"}{"prompt": "g", "chosen": "h", "rejected": "i"}`,
	})
	rows, _, err := Read(t.Context(), []string{dir}, ReadOptions{HeldOutSplit: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range [][]Row{rows, Unpair(rows)} {
		seqs, _, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 100})
		if err != nil {
			t.Fatal(err)
		}
		train, held := SplitHeldOut(seqs)
		if len(train) != len(rows)/2 || len(held) != len(rows)/2 || Seen(train, held) != len(rows)/4 {
			t.Errorf("%d to train on, %d held out, %d of them seen; of %d rows", len(train), len(held), Seen(train, held),
				len(rows))
		}
		for _, s := range held {
			if filepath.Base(s.Source.File) != "test.jsonl" {
				t.Errorf("%s is held out", s.Source)
			}
		}
	}
}
