package data

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// saveFolder saves files, each a row of text but for those whose content is given.
func saveFolder(t testing.TB, names string, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name := range strings.FieldsSeq(names) {
		if _, ok := contents[name]; !ok {
			contents[name] = ""
		}
	}
	for name, content := range contents {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if content == "" {
			content = `{"text": "` + name + `"}`
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// named are the files below dir, as they are called there.
func named(dir string, files []string) string {
	var names []string
	for _, path := range files {
		name, _ := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
	}
	return strings.Join(names, " ")
}

// Data sets of Hugging Face: which files are read, and which are passed over.
func TestDatasetFolders(t *testing.T) {
	const shards = "data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet data/test-00000-of-00001.parquet"
	card := func(configs string) map[string]string {
		return map[string]string{"README.md": "---\nlicense: mit\ntask_categories: [x]\n" + configs + "\n---\n# A set\n---\n"}
	}
	one := func(fields string) map[string]string { return card("configs:\n- config_name: all\n  " + fields) }
	usual := "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n" +
		"  - split: test\n    path: data/test-*"
	const two = "configs:\n- config_name: en\n  data_files:\n  - split: train\n    path: [en/a.jsonl, \"en/b*.jsonl\"]\n" +
		"  - {split: validation, path: en/v.jsonl}\n- config_name: de\n  data_files: de/*.jsonl\n"
	const files = "en/a.jsonl en/b1.jsonl en/b2.jsonl en/v.jsonl de/a.jsonl"
	for _, c := range []struct {
		names        string
		card         map[string]string
		want, others string
		fails        string
	}{
		{shards, card(usual), "data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet",
			"data/test-00000-of-00001.parquet", ""},
		{shards, card("pretty_name: without"), "data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet",
			"data/test-00000-of-00001.parquet", ""},
		{files, card(two + "  default: true"), "de/a.jsonl", "en/a.jsonl en/b1.jsonl en/b2.jsonl en/v.jsonl", ""},
		{files, card(strings.Replace(two, "config_name: en", "config_name: default", 1)),
			"en/a.jsonl en/b1.jsonl en/b2.jsonl", "de/a.jsonl en/v.jsonl", ""},
		{files, card(two), "", "", `want one configuration, or one that is the default, got "en", "de"; a pattern such as`},
		{files + " x/y/z.csv", one("data_files: \"**/*.csv\""), "x/y/z.csv", "", ""},
		{files + " notes.md", one("data_files: [\"en/**\", de]"),
			"de/a.jsonl en/a.jsonl en/b1.jsonl en/b2.jsonl en/v.jsonl", "", ""},
		{files, one("data_dir: de"), "de/a.jsonl", "", ""},
		{files, one("data_dir: en\n  data_files: [\"b*\"]"), "en/b1.jsonl en/b2.jsonl", "", ""},
		{files, one("data_files:\n  - split: train_sft\n    path: en/a.jsonl\n" +
			"  - split: test_sft\n    path: en/v.jsonl"), "en/a.jsonl", "en/v.jsonl", ""},
		{files, one("data_files:\n  - {split: train_sft, path: a}\n  - {split: train_gen, path: b}"),
			"", "", "want one split to train on, got train_sft, train_gen"},
		{files, one("data_files:\n  - {split: test, path: en/a.jsonl}"), "", "",
			"want one split to train on, got test"},
		{files, one("data_files: ../x.jsonl"), "", "", `want paths within the folder, got "../x.jsonl"`},
		{files, one("data_files: https://a/x.jsonl"), "", "", "want paths within the folder"},
		{files, one("data_dir: ../x"), "", "", "want a folder within it"},
		{files, one("data_files: none.jsonl"), "", "",
			`want files for the split train of "all", got none`},
		{files + " a.png", one("data_files: \"*\""), "", "",
			"want files of rows for the split train, got"},
		{files, card("configs: [3]"), "", "", "README.md: want configs as Hugging Face's data sets have them"},
		{files, one("data_files: {a: 1}"), "", "", "README.md: want configs"},
		{files, card("configs: &a\n- config_name: all\nb: *a"), "", "", "want plain values in its YAML"},
		{files, card("configs:\n- \tx: 1"), "", "", "README.md: "},
		{"train/a.csv train/b.csv validation/a.csv test.set/a.csv README.md", card(""), "train/a.csv train/b.csv",
			"test.set validation", ""},
		{"data/train/a.csv data/test/a.csv", nil, "data/train/a.csv", "data/test", ""},
		{"train/a.csv train/b.png", nil, "", "", `got "train/b.png" too`},
		{"test/a.csv", nil, "", "", "want files of rows in a folder whose name tells the split train"},
		{"train_sft-00000-of-00001.parquet train_gen-00000-of-00001.parquet test_sft-00000-of-00001.parquet", nil, "", "",
			"want one split to train on, got train_gen, train_sft; a pattern such as"},
		{"train-1.jsonl train-2.jsonl dev.jsonl", nil, "train-1.jsonl train-2.jsonl", "dev.jsonl", ""},
		{"a-train.arrow a-test.feather", nil, "a-train.arrow", "a-test.feather", ""},
	} {
		if c.card == nil {
			c.card = map[string]string{}
		}
		dir := saveFolder(t, c.names, c.card)
		got, err := list(dir, "")
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s %s: error %v, want %q", c.names, c.card, err, c.fails)
			}
			continue
		}
		if err != nil || named(dir, got.files) != c.want || named(dir, got.others) != c.others {
			t.Errorf("%s %s:\ngot  %s, others %s, error %v\nwant %s, others %s", c.names, c.card, named(dir, got.files),
				named(dir, got.others), err, c.want, c.others)
		}
	}
}

// Rows are those of the split train, and somebody is told of the others.
func TestReadDatasetFolder(t *testing.T) {
	dir := saveFolder(t, "train.jsonl validation.jsonl test.jsonl", map[string]string{})
	var others []string
	o := ReadOptions{PassedOver: func(path string) { others = append(others, path) }}
	rows, _, err := Read(t.Context(), []string{dir}, o)
	if err != nil || len(rows) != 1 || rows[0].Text != "train.jsonl" ||
		named(dir, others) != "test.jsonl validation.jsonl" {
		t.Errorf("rows %+v, passed over %v, error %v", rows, others, err)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"a/*.csv", "a/b.csv", true}, {"a/*.csv", "a/b/c.csv", false}, {"**/c.csv", "c.csv", true},
		{"**/c.csv", "a/b/c.csv", true}, {"a/**/c.csv", "a/c.csv", true}, {"a/**/b/*", "a/b/x/b/c", true},
		{"a/**/b/*", "a/b/x/c/c", false}, {"**", "a/b", true}, {"**/**/x", "a/b/y", false}, {"", "a", false},
	} {
		if got := matches(strings.Split(c.pattern, "/"), strings.Split(c.path, "/")); got != c.want {
			t.Errorf("%s and %s: got %v", c.pattern, c.path, got)
		}
	}
}
