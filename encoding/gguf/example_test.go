package gguf_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/encoding/gguf"
)

func Example() {
	dir, err := os.MkdirTemp("", "gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "a.gguf")
	t, err := gguf.FromFloat32s("w", gguf.F32, []int{2, 2}, []float32{1, 2, 3, 4})
	if err != nil {
		log.Fatal(err)
	}
	if err := gguf.Write(path, []gguf.KeyValue{{Key: "general.name", Value: "an example"}}, t.Source()); err != nil {
		log.Fatal(err)
	}

	f, err := gguf.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	name, err := gguf.Get[string](f, "general.name")
	fmt.Println(name, err)
	// Output: an example <nil>
}
