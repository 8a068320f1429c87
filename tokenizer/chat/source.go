package chat

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/agora-ml/agora/tokenizer"
)

// Source is the text of the template that a model's folder has, "" if it has none of its own.
func Source(dir string) (string, error) {
	config, err := tokenizer.ReadConfig(filepath.Join(dir, tokenizer.ConfigFile))
	if errors.Is(err, fs.ErrNotExist) {
		config, err = &tokenizer.Config{}, nil
	}
	if err != nil {
		return "", fmt.Errorf("chat: %w", err)
	}
	name, text, err := findSource(dir, config)
	if err != nil {
		err = fmt.Errorf("chat: %s: %w", name, err)
	}
	return text, err
}
