package safetensors

import (
	"path/filepath"
	"strings"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/internal/regular"
)

// readIndex reads {"metadata": {…}, "weight_map": {tensor: file}}: the names of each
// shard's tensors. What metadata says (a total size that many writers got wrong) is
// not used.
func readIndex(path string) (map[string][]string, error) {
	b, err := regular.Read(path, maxHeader)
	if err != nil {
		return nil, err
	}
	shards, err := parseIndex(path, b)
	return shards, inFile(path, err)
}

func parseIndex(path string, b []byte) (map[string][]string, error) {
	if err := isText(b); err != nil {
		return nil, err
	}
	var shards map[string][]string
	p := newJSONParser(path, b)
	err := p.object(func(key string) error {
		if key != "weight_map" {
			return p.skip()
		}
		shards = map[string][]string{}
		return p.object(func(tensor string) error {
			shard, err := p.str()
			if err != nil {
				return inTensor(tensor, err)
			}
			// A shard stands beside its index: a folder from elsewhere cannot reach out of itself.
			if shard != filepath.Base(shard) || !filepath.IsLocal(shard) || !strings.HasSuffix(shard, ".safetensors") {
				return &Error{Tensor: tensor, Want: "the name of a .safetensors file in the same folder",
					Got: fileerror.Quote(shard)}
			}
			shards[shard] = append(shards[shard], tensor)
			return nil
		})
	})
	if err == nil {
		err = p.end()
	}
	if err == nil && len(shards) == 0 {
		err = &Error{Want: "a weight_map that names tensors", Got: "none"}
	}
	return shards, err
}
