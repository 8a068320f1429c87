package safetensors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/internal/atomicfile"
)

// MaxShard is the size that Hugging Face's writers let one file of a model have.
const MaxShard = 5_000_000_000

// WriteModel writes the tensors of a model into a folder, as OpenModel reads them: into
// model.safetensors if their data fit in maxShard bytes, else, in their order, into
// shards model-00001-of-0000N.safetensors, with an index that is written last. A tensor
// larger than maxShard has a shard of its own. Each file is whole or not there; a model
// that the folder held in the other form is removed at the end.
func WriteModel(dir string, maxShard int, metadata map[string]string, tensors ...Source) error {
	shards, total, err := cut(maxShard, tensors)
	if err != nil {
		return inFile(dir, err)
	}
	single, index := filepath.Join(dir, ModelFile), filepath.Join(dir, IndexFile)
	if len(shards) == 1 {
		if err := Write(single, metadata, tensors...); err != nil {
			return err
		}
		return remove(index)
	}
	files := map[string]string{}
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		if err := Write(filepath.Join(dir, name), metadata, shard...); err != nil {
			return err
		}
		for _, t := range shard {
			files[t.Name] = name
		}
	}
	err = atomicfile.WriteFile(index, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "{\"metadata\":{\"total_size\":%d},\"weight_map\":%s}\n", total, jsonText(files))
		return err
	})
	if err != nil {
		return err
	}
	return remove(single)
}

// cut puts consecutive tensors together while they fit; total is the bytes of all.
func cut(maxShard int, tensors []Source) (shards [][]Source, total int, err error) {
	if _, err := header(nil, tensors); err != nil { // names and sizes, before anything is written
		return nil, 0, err
	}
	room := 0
	for _, t := range tensors {
		n, _ := elements(t.Shape)
		size := n * t.DType.size()
		if len(shards) == 0 || size > room {
			shards, room = append(shards, nil), maxShard
		}
		last := &shards[len(shards)-1]
		*last = append(*last, t)
		room -= size
		total += size
	}
	if len(shards) == 0 {
		shards = [][]Source{nil}
	}
	return shards, total, nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("safetensors: a model that was there before: %w", err)
	}
	return nil
}
