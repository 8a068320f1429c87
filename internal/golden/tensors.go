package golden

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
)

// Tensors are those of a file, or of the folder of a model, by their names, for tests that change some and write them
// again. They are copies.
func Tensors(t testing.TB, path string) map[string]safetensors.Tensor {
	t.Helper()
	open := safetensors.Open
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		open = safetensors.OpenModel
	}
	file, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := map[string]safetensors.Tensor{}
	for _, name := range file.Names() {
		x, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		x.Data = slices.Clone(x.Data)
		all[name] = x
	}
	return all
}

// WriteTensors writes a file of tensors, each under the name that it has in the map.
func WriteTensors(t testing.TB, path string, metadata map[string]string, all map[string]safetensors.Tensor) {
	t.Helper()
	var sources []safetensors.Source
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x := all[name]
		x.Name = name
		sources = append(sources, x.Source())
	}
	if err := safetensors.Write(path, metadata, sources...); err != nil {
		t.Fatal(err)
	}
}
