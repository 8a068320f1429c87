package safetensors_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/encoding/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "safetensors")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "a.safetensors")
	w := safetensors.FromFloat32s("w", []int{2, 2}, []float32{1, 2, 3, 4})
	if err := safetensors.Write(path, map[string]string{"made by": "an example"}, w.Source()); err != nil {
		log.Fatal(err)
	}

	f, err := safetensors.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	t, err := f.Tensor("w")
	if err != nil {
		log.Fatal(err)
	}
	values, err := t.Float32s()
	fmt.Println(t.DType, t.Shape, values, err)
	// Output: F32 [2 2] [1 2 3 4] <nil>
}
