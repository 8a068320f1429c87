package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/atomicfile"
)

const (
	ggufEOT          = "tokenizer.ggml.eot_token_id" // ends a turn
	ggufChatTemplate = "tokenizer.chat_template"
)

// SaveGGUF writes what a GGUF file says of its tokenizer into a model's folder, as Hugging
// Face has it there: SentencePiece's vocabulary as tokenizer.model, a byte-level one as
// tokenizer.json; special tokens and chat template as tokenizer_config.json, and the ids
// that end a text as generation_config.json. Load reads the tokenizer of the file from it.
func SaveGGUF(path, dir string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	defer f.Close()
	files, err := folderFromGGUF(f)
	if err != nil {
		return fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	for _, file := range files {
		err := atomicfile.WriteFile(filepath.Join(dir, file.name), func(w io.Writer) error {
			_, err := w.Write(file.content)
			return err
		})
		if err != nil {
			return fmt.Errorf("tokenizer: %w", err)
		}
	}
	return nil
}

// namedFile is a file to be written.
type namedFile struct {
	name    string
	content []byte
}

// folderFromGGUF makes the files of a folder from a GGUF file.
func folderFromGGUF(f *gguf.File) ([]namedFile, error) {
	t, err := fromGGUF(f)
	if err != nil {
		return nil, err
	}
	vocabulary := namedFile{name: ModelFile}
	config := jsonObject{"add_eos_token": false, "clean_up_tokenization_spaces": false}
	bos, eos := -1, -1 // where the file does not say them
	switch t := t.(type) {
	case *SentencePiece:
		v := t.Vocabulary()
		vocabulary.content = v.model()
		config["tokenizer_class"], config["unk_token"] = "LlamaTokenizer", t.Piece(t.unk)
		if !v.DummyPrefix {
			config["add_prefix_space"] = false
		}
		bos, eos = spDefaultBOS, spDefaultEOS
	case *BPE:
		text, _, err := byteLevelJSON(f)
		if err != nil {
			return nil, err
		}
		vocabulary = namedFile{JSONFile, text}
		config["tokenizer_class"] = "PreTrainedTokenizerFast"
	}
	_, config["add_bos_token"] = t.BOS()
	for name, end := range map[string]struct {
		key     string
		missing int
	}{"bos_token": {ggufBOS, bos}, "eos_token": {ggufEOS, eos}} {
		id, err := ggufID(f, end.key, t.VocabSize(), end.missing)
		if err != nil {
			return nil, err
		}
		if id >= 0 {
			config[name] = t.Piece(id)
		}
	}
	if _, ok := f.Value(ggufChatTemplate); ok {
		if config["chat_template"], err = gguf.Get[string](f, ggufChatTemplate); err != nil {
			return nil, err
		}
	}
	generation, err := generationFromGGUF(f, t.VocabSize())
	if err != nil {
		return nil, err
	}
	files := []namedFile{vocabulary, {name: ConfigFile}, {name: generationConfig}}
	for i, object := range []jsonObject{config, generation} {
		if files[1+i].content, err = jsonText(object, "  "); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// generationFromGGUF are the ids by which a text begins, and by which it or a turn ends.
func generationFromGGUF(f *gguf.File, tokens int) (jsonObject, error) {
	object := jsonObject{}
	var ends []int32
	for _, key := range []string{ggufBOS, ggufEOS, ggufEOT} {
		id, err := ggufID(f, key, tokens, -1)
		switch {
		case err != nil:
			return nil, err
		case id < 0:
		case key == ggufBOS:
			object["bos_token_id"] = id
		case len(ends) == 0 || ends[0] != id:
			ends = append(ends, id)
		}
	}
	if len(ends) == 1 {
		object["eos_token_id"] = ends[0]
	} else if len(ends) > 1 {
		object["eos_token_id"] = ends
	}
	return object, nil
}

// jsonText is JSON with characters as they are.
func jsonText(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return b.Bytes(), err
}
