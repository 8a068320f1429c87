package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/internal/regular"
)

// Names of a tokenizer's files in a model's folder.
const (
	JSONFile  = "tokenizer.json"
	ModelFile = "tokenizer.model" // of SentencePiece, or LLaMA 3's ranks
)

// maxFile bounds what Load reads; the largest known has 35 MB.
const maxFile = 256 << 20

// Load reads the tokenizer of a model's folder, or one file of any kind, which is
// recognised by its content: also the one in a GGUF model.
//
// In a folder tokenizer.json comes before tokenizer.model: it alone knows the tokens
// that were added later. The folder's other files say how texts begin and end:
//
//   - BOS: where tokenizer_config.json has add_bos_token, it decides; else BOS is what
//     tokenizer.json's post-processor puts in front, or a tokenizer.model's own.
//   - EOS: eos_token of tokenizer_config.json, else of special_tokens_map.json, else the
//     first eos_token_id of generation_config.json, else of config.json, else the
//     tokenizer's own.
func Load(path string) (Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if !info.IsDir() {
		if isGGUF(path) {
			return loadGGUF(path)
		}
		t, err := loadFile(path)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	for _, name := range []string{JSONFile, ModelFile} {
		t, err := loadFile(filepath.Join(path, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := readEnds(path, t); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
		return t, nil
	}
	return nil, fmt.Errorf("tokenizer: %s: want %s or %s, got neither", path, JSONFile, ModelFile)
}

func loadFile(path string) (loaded, error) {
	b, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := parseAny(b)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return t, nil
}

func parseAny(b []byte) (loaded, error) {
	switch {
	case bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n\ufeff"), []byte{'{'}):
		return ParseJSON(b)
	case isTiktoken(b):
		return ParseTiktoken(b)
	}
	return ParseSentencePiece(b)
}

func readBounded(path string) ([]byte, error) {
	return regular.Read(path, maxFile)
}
