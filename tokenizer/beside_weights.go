package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
)

// tokenizerFiles are those of a model's folder that make its tokenizer and chat template.
var tokenizerFiles = []string{
	ModelFile, JSONFile, ConfigFile, SpecialTokensFile, AddedTokensFile, "vocab.json", "merges.txt",
	"chat_template.jinja", "chat_template.json",
}

// templatesFolder has the templates that are chosen by name, one a file, beside chat_template.jinja.
const templatesFolder = "additional_chat_templates"

// BesideWeights are the names of the files that CopyBesideWeights copies.
func BesideWeights() []string {
	return append(slices.Clone(tokenizerFiles), templatesFolder, generationConfig)
}

// CopyBesideWeights copies the files of a model's folder that are neither weights nor
// configuration (tokenizer, chat template, generation settings), as far as they are there: see
// CopyTokenizer, CopyNamedTemplates and CopyGeneration.
func CopyBesideWeights(from, to string) error {
	if err := CopyTokenizer(from, to); err != nil {
		return err
	}
	if err := CopyNamedTemplates(from, to); err != nil {
		return err
	}
	return CopyGeneration(from, to, -1)
}

// CopyTokenizer copies the files of a folder that make its tokenizer and chat template, as
// far as they are there. A file that is a tokenizer is copied alone, under the name by which
// Load finds it; of a GGUF file they are made, see SaveGGUF; of another there is nothing to
// copy.
func CopyTokenizer(from, to string) error {
	info, err := regular.Stat(from)
	switch {
	case err == nil && !info.IsDir() && gguf.IsFile(from):
		return SaveGGUF(from, to)
	case err == nil && !info.IsDir():
		name := filepath.Base(from)
		if !slices.Contains(tokenizerFiles, name) {
			if name = nameFor(from); name == "" {
				return nil
			}
		}
		return atomicfile.CopyFile(from, filepath.Join(to, name))
	}
	for _, name := range tokenizerFiles {
		err := atomicfile.CopyFile(filepath.Join(from, name), filepath.Join(to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// CopyNamedTemplates copies the chat templates that are chosen by name, such as the one for tools, which stand in a
// folder inside a model's. There may be none.
func CopyNamedTemplates(from, to string) error {
	from, to = filepath.Join(from, templatesFolder), filepath.Join(to, templatesFolder)
	if info, err := os.Stat(from); err != nil || !info.IsDir() { // the model is a file, or has none
		return nil
	}
	entries, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o777)
	}
	for _, e := range entries {
		if err == nil && filepath.Ext(e.Name()) == ".jinja" {
			err = atomicfile.CopyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		}
	}
	return err
}

// nameFor is the name by which Load finds a tokenizer's file in a folder; "" if it is none.
func nameFor(path string) string {
	t, err := loadFile(path, nil)
	if err != nil {
		return ""
	}
	if b, ok := t.(*BPE); ok && b.merges != nil {
		return JSONFile
	}
	return ModelFile
}

// CopyGeneration copies the settings by which a model generates, if it has them: the
// generation_config.json of its folder, or what a GGUF file says of the tokens around a text.
// Training may have taught the model to end with a token that is not among them: eos, if it is
// not negative, is put in front of them there.
func CopyGeneration(model, to string, eos int32) error {
	var content []byte
	info, err := regular.Stat(model)
	switch {
	case err == nil && !info.IsDir() && !gguf.IsFile(model):
		return nil
	case err == nil && !info.IsDir():
		content, err = generationOfGGUF(model)
	default:
		content, err = readBounded(filepath.Join(model, generationConfig))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if content, err = withEOS(content, eos); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(model, generationConfig), err)
	}
	return atomicfile.WriteFile(filepath.Join(to, generationConfig), func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// WriteGeneration writes the generation_config.json of a new model into a folder: the tokens, if any, that begin
// (bos, -1: none) and end a text.
func WriteGeneration(to string, bos int32, eos []int32) error {
	object := jsonObject{}
	if bos >= 0 {
		object["bos_token_id"] = bos
	}
	if len(eos) == 1 {
		object["eos_token_id"] = eos[0]
	} else if len(eos) > 1 {
		object["eos_token_id"] = eos
	}
	content, err := jsonText(object, "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(to, generationConfig), func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

func generationOfGGUF(path string) ([]byte, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer f.Close()
	object, err := generationFromGGUF(f, 1<<31-1)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return jsonText(object, "  ")
}

// withEOS is a generation_config.json in which eos ends a text, too.
func withEOS(content []byte, eos int32) ([]byte, error) {
	var c Config
	if err := strictjson.Unmarshal(content, &c); err != nil {
		return nil, err
	}
	if eos < 0 || slices.Contains(c.EOSTokenID, eos) {
		return content, nil
	}
	members, err := strictjson.Members(content)
	if err != nil {
		return nil, err
	}
	object := jsonObject{}
	for _, m := range members {
		object[m.Name] = json.RawMessage(m.Value)
	}
	object["eos_token_id"] = append(TokenIDs{eos}, c.EOSTokenID...)
	return jsonText(object, "  ")
}
