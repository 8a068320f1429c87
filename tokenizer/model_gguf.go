package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
)

// GGUFMetadata are the keys by which a GGUF file of a model, with so many words, has the
// tokenizer of the model's folder: SentencePiece's, with the tokens that were added to it; of
// a GGUF file they are its own. What llama.cpp would read otherwise than Load is an error, or,
// where most texts are the same, a warning.
func GGUFMetadata(model string, words int) (metadata []gguf.KeyValue, warnings []string, err error) {
	if info, err := os.Stat(model); err == nil && !info.IsDir() {
		metadata, err = ownMetadata(model)
		return metadata, nil, err
	}
	all, err := read(model, Options{}) // knows the tokens that were added later
	if err != nil {
		return nil, nil, fmt.Errorf("tokenizer: %w", err)
	}
	path := filepath.Join(model, ModelFile)
	file, err := loadFile(path, nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("tokenizer: %w", err)
	}
	sp, ok := file.(*SentencePiece) // which says more than a tokenizer.json made of it
	if bpe, isBPE := all.(*BPE); !ok && isBPE {
		return bpe.forLlamaCpp(model, words)
	}
	if warnings, err = sp.forLlamaCpp(path); err != nil {
		return nil, nil, fmt.Errorf("tokenizer: %w", err)
	}
	if more, ok := all.(*SentencePiece); ok {
		sp = more
		warnings = append(warnings, sp.addedForLlamaCpp(model)...)
	}
	v, err := sp.withAdded(all, words)
	if err != nil {
		return nil, nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return v.Metadata(), warnings, nil
}

// ownMetadata are what a GGUF file says of its tokenizer.
func ownMetadata(path string) (metadata []gguf.KeyValue, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer f.Close()
	for _, kv := range f.Metadata() {
		if strings.HasPrefix(kv.Key, "tokenizer.") {
			metadata = append(metadata, kv)
		}
	}
	return metadata, nil
}

// noVocabulary says what a user can do whose tokenizer GGUF files are not written with.
func noVocabulary(path, got string) error {
	return fmt.Errorf("tokenizer: %s: want SentencePiece's or byte-level BPE, which a model in GGUF can carry, got %s:"+
		" export to safetensors and convert that by llama.cpp's program", path, got)
}

// withAdded is the table of the pieces and of what another tokenizer of the same folder knows
// beyond them, filled up to so many words.
func (t *SentencePiece) withAdded(all loaded, words int) (Vocabulary, error) {
	v := t.Vocabulary()
	for id, piece := range v.Pieces {
		if name := all.Piece(int32(id)); name != piece {
			return v, fmt.Errorf("want the pieces of the tokenizer that the folder has beside it, where %d is "+
				"%.40q, got %.40q",
				id, name, piece)
		}
	}
	if most := max(all.VocabSize(), len(v.Pieces)); most > words {
		return v, fmt.Errorf("want at most the %d words of the model, got %d", words, most)
	}
	for id := len(v.Pieces); id < words; id++ {
		piece, kind := all.Piece(int32(id)), userDefined
		if piece == "" {
			piece, kind = fmt.Sprintf("[PAD%d]", id), unused
		} else if special, ok := all.(PartEncoder).Special(piece); ok && special == int32(id) {
			kind = control
		}
		v.Pieces, v.Scores, v.Types = append(v.Pieces, piece), append(v.Scores, -1000), append(v.Types, int32(kind))
	}
	v.BOS, v.EOS = -1, -1
	if id, ok := all.BOS(); ok {
		v.BOS = id
	}
	if id, ok := all.EOS(); ok {
		v.EOS = id
	}
	return v, nil
}

// forLlamaCpp compares the way with texts with llama.cpp's: it puts a space in front if the
// file says so, writes ▁ for spaces, joins pieces by their scores, and writes what is left by
// bytes.
func (t *SentencePiece) forLlamaCpp(path string) (warnings []string, err error) {
	if t.space != spaceSymbol {
		return nil, fmt.Errorf("%s: escape_whitespaces: want true, got false: llama.cpp writes ▁ for every space", path)
	}
	if !t.byteFallback {
		return nil, fmt.Errorf("%s: byte_fallback: want true, got false: llama.cpp has no other way with characters"+
			" that are in no piece", path)
	}
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if t.removeExtraSpace {
		warn("%s: remove_extra_whitespaces: llama.cpp keeps several spaces and those around a text, which this"+
			" tokenizer takes away: such texts become other ids there", path)
	}
	kinds := map[pieceType]string{}
	for _, p := range t.pieces {
		if _, ok := kinds[p.kind]; !ok {
			kinds[p.kind] = p.text
		}
	}
	if text, ok := kinds[unused]; ok {
		warn("%s: unused pieces (%.40q): llama.cpp makes them of text, which this tokenizer does not", path, text)
	}
	if text, ok := kinds[userDefined]; ok && t.addDummyPrefix {
		warn("%s: user-defined pieces (%.40q): llama.cpp puts a space in front of what follows them, which this"+
			" tokenizer does not", path, text)
	}
	return warnings, nil
}

// addedForLlamaCpp names what llama.cpp does not know of the files beside the vocabulary.
func (t *SentencePiece) addedForLlamaCpp(dir string) (warnings []string) {
	if t.firstSpace && t.addDummyPrefix {
		warnings = append(warnings,
			fmt.Sprintf("%s: legacy: llama.cpp puts a space in front of a text behind a special token, too, which this"+
				" tokenizer does not", filepath.Join(dir, ConfigFile)))
	}
	return append(warnings, flagsForLlamaCpp(dir, t.special, t.added)...)
}
