package tokenizer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/encoding/atomicfile"
)

// besideWeights are the files of a model's folder that are neither weights nor
// configuration: what a merged model needs as well.
var besideWeights = []string{
	generationConfig, ModelFile, JSONFile, ConfigFile, SpecialTokensFile,
	AddedTokensFile, "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
}

// BesideWeights are the names of the files that CopyBesideWeights copies.
func BesideWeights() []string { return slices.Clone(besideWeights) }

// CopyBesideWeights copies the files of a model's folder that are neither weights nor
// configuration (tokenizer, chat template, generation settings), as far as they are there.
// A file that is one of these is copied alone; of a GGUF file they are made, see SaveGGUF;
// of another there is nothing to copy.
func CopyBesideWeights(from, to string) error {
	names := besideWeights
	if info, err := os.Stat(from); err == nil && !info.IsDir() {
		if isGGUF(from) {
			return SaveGGUF(from, to)
		}
		name := filepath.Base(from)
		if !slices.Contains(besideWeights, name) {
			return nil
		}
		from, names = filepath.Dir(from), []string{name}
	}
	for _, name := range names {
		err := atomicfile.CopyFile(filepath.Join(from, name), filepath.Join(to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
