package chat

import (
	"fmt"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/tokenizer"
)

// fromGGUF is what a GGUF file says of chats: its template, for conversations with tools, too, and how
// it spells BOS and EOS.
func fromGGUF(path string, tok tokenizer.Tokenizer) (s sources, config *tokenizer.Config, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return s, nil, err
	}
	defer f.Close()
	for key, into := range map[string]*string{
		"tokenizer.chat_template": &s.usual, "tokenizer.chat_template." + toolUse: &s.toolUse,
	} {
		if _, ok := f.Value(key); ok {
			if *into, err = gguf.Get[string](f, key); err != nil {
				return s, nil, err
			}
		}
	}
	config = &tokenizer.Config{}
	for key, into := range map[string]**tokenizer.TokenName{
		"tokenizer.ggml.bos_token_id": &config.BOSToken, "tokenizer.ggml.eos_token_id": &config.EOSToken,
	} {
		if _, ok := f.Value(key); !ok {
			continue
		}
		id, err := f.Int(key)
		if err != nil {
			return s, nil, err
		}
		if id < 0 || id >= tok.VocabSize() {
			return s, nil, fmt.Errorf("%s: %s: want an id below %d, got %d", path, key, tok.VocabSize(), id)
		}
		name := tokenizer.TokenName(tok.Piece(int32(id)))
		*into = &name
	}
	return s, config, nil
}
