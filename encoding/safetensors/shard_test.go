package safetensors

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func sources(t *testing.T) []Source {
	t.Helper()
	var all []Source
	for i, n := range []int{10, 20, 30, 5, 100, 1} { // × 4 bytes
		v := make([]float32, n)
		for j := range v {
			v[j] = float32(100*i + j)
		}
		all = append(all, FromFloat32s(string(rune('a'+i)), []int{n}, v).Source())
	}
	return all
}

// A model in shards reads as the same model in one file.
func TestWriteModelInShards(t *testing.T) {
	dir := t.TempDir()
	meta := map[string]string{"format": "pt"}
	if err := WriteModel(dir, 1<<20, meta, sources(t)...); err != nil {
		t.Fatal(err)
	}
	if files := list(t, dir); !slices.Equal(files, []string{ModelFile}) {
		t.Fatalf("files %v, want one", files)
	}
	if err := WriteModel(dir, 130, meta, sources(t)...); err != nil {
		t.Fatal(err)
	}
	// a and b have 120 bytes, c 120, d 20, e 400 (more than a shard may have), f 4.
	want := []string{
		"model-00001-of-00005.safetensors", "model-00002-of-00005.safetensors", "model-00003-of-00005.safetensors",
		"model-00004-of-00005.safetensors", "model-00005-of-00005.safetensors", IndexFile,
	}
	if files := list(t, dir); !slices.Equal(files, want) {
		t.Fatalf("files %v, want %v", files, want)
	}
	f, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names := f.Names(); !slices.Equal(names, []string{"a", "b", "c", "d", "e", "f"}) {
		t.Fatalf("tensors %v", names)
	}
	for i, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := x.Float32s(); err != nil || v[0] != float32(100*i) || v[len(v)-1] != float32(100*i+len(v)-1) {
			t.Errorf("%s: %v (%v)", name, v, err)
		}
	}
	if err := WriteModel(dir, 1<<20, meta, sources(t)...); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(list(t, dir), IndexFile) {
		t.Error("the index of the earlier form is still there")
	}
}

func TestWriteModelChecksFirst(t *testing.T) {
	dir := t.TempDir()
	all := sources(t)
	err := WriteModel(dir, 130, nil, append(all, all[0])...)
	if err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("a name twice: %v", err)
	}
	if files := list(t, dir); len(files) != 0 {
		t.Errorf("files %v written", files)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, filepath.Base(e.Name()))
	}
	return names
}
