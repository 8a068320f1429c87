package safetensors

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
)

func one(tensor string) []byte {
	return file(`{"`+tensor+`":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2)
}

func TestOpenModel(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenModel(dir); err == nil || !strings.Contains(err.Error(), "neither") {
		t.Errorf("empty folder: %v", err)
	}
	save(t, dir, "x-1.safetensors", one("a"))
	save(t, dir, "x-2.safetensors", one("b"))
	save(t, dir, IndexFile, []byte(`{"metadata":{"total_size":4,"more":[{}]},"weight_map":{"a":"x-1.safetensors","b":"x-2.safetensors"}}`))
	f, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names %v", got)
	}
	if b, err := f.Tensor("b"); err != nil || !slices.Equal(b.Data, []byte{0, 1}) {
		t.Errorf("b: got %v, error %v", b, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	save(t, dir, ModelFile, one("whole"))
	f, err = OpenModel(dir)
	if err != nil || !f.Has("whole") {
		t.Fatalf("%s is not preferred: error %v", ModelFile, err)
	}
	f.Close()
}

var badIndex = []struct{ name, index, want string }{
	{"missing shard", `{"weight_map":{"a":"x-1.safetensors","b":"x-3.safetensors"}}`, "x-3.safetensors"},
	{"tensor not in its shard", `{"weight_map":{"a":"x-1.safetensors","c":"x-1.safetensors"}}`,
		`x-1.safetensors: tensor "c": want the tensor`},
	{"tensor in another shard", `{"weight_map":{"a":"x-1.safetensors","b":"x-1.safetensors"}}`,
		`x-1.safetensors: tensor "b": want the tensor`},
	{"tensor not in the index", `{"weight_map":{"a":"x-1.safetensors","c":"x-2.safetensors"}}`,
		`x-2.safetensors: tensor "b": want a tensor that`},
	{"outside the folder", `{"weight_map":{"a":"../x-1.safetensors"}}`, "same folder"},
	{"absolute", `{"weight_map":{"a":"/x-1.safetensors"}}`, "same folder"},
	{"the folder", `{"weight_map":{"a":".safetensors/.."}}`, "same folder"},
	{"another format", `{"weight_map":{"a":"x-1.bin"}}`, "same folder"},
	{"no map", `{"metadata":{}}`, "weight_map"},
	{"empty map", `{"weight_map":{}}`, "weight_map"},
	{"twice", `{"weight_map":{"a":"x-1.safetensors","a":"x-2.safetensors"}}`, `"a" twice`},
	{"half a pair", `{"weight_map":{"a\ud83d":"x-1.safetensors"}}`,
		"want text in field \"weight_map\", got half a surrogate pair (line 1)"},
	{"Python's NaN", `{"metadata":{"total_size":NaN},"weight_map":{"a":"x-1.safetensors"}}`,
		"got NaN, which Python's json module writes (line 1)"},
	{"another case", `{"Weight_Map":{"a":"x-1.safetensors"}}`, "weight_map"},
	{"number", `{"weight_map":{"a":1}}`, `tensor "a": want a string`},
	{"list", `[]`, "want {"},
	{"cut", `{"weight_map":{"a":"x-1.safetensors"}`, "want JSON"},
	{"more", `{"weight_map":{"a":"x-1.safetensors"}} 1`, "nothing behind"},
	{"deep", `{"metadata":` + strings.Repeat("[", 1_000_000), "want a JSON value"},
}

func TestOpenModelRefusesBadIndexes(t *testing.T) {
	for _, c := range badIndex {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			save(t, dir, "x-1.safetensors", one("a"))
			save(t, dir, "x-2.safetensors", one("b"))
			save(t, dir, IndexFile, []byte(c.index))
			_, err := OpenModel(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got error %v, want it to name the file and %q", err, c.want)
			}
		})
	}
}

// The models and golden files that a folder of test data holds are opened whole.
func TestRealModels(t *testing.T) {
	data := realdata.Folder(t)
	for _, c := range []struct {
		dir   string
		shape []int
	}{
		{"stories260K-hf", []int{512, 64}},
		{"babyllama-tok105-hf", []int{105, 128}},
	} {
		f, err := OpenModel(filepath.Join(data, "models", c.dir))
		if err != nil {
			t.Fatal(err)
		}
		x, err := f.Tensor("model.embed_tokens.weight")
		if err != nil || x.DType != F32 || !slices.Equal(x.Shape, c.shape) {
			t.Errorf("%s: embeddings %s %v, error %v; want F32 %v", c.dir, x.DType, x.Shape, err, c.shape)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
