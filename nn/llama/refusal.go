package llama

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Refusals returns every reason for which the model of a folder or GGUF file is not loaded, where the
// configuration gives several; nil if it is. Load itself ends at the first.
func Refusals(ctx context.Context, path string) []error {
	_, err := Check(ctx, path)
	if err == nil || gguf.IsFile(path) {
		return some(err)
	}
	config := filepath.Join(path, ConfigFile)
	text, readErr := readSmall(config)
	if readErr != nil {
		return some(err)
	}
	f, parseErr := parseFields(config, text)
	if parseErr != nil {
		return some(err)
	}
	f.config(config)
	if len(*f.all) > 0 {
		return *f.all
	}
	return some(err)
}

func some(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}

// GGUFError returns an error that says why a model is not exported for llama.cpp: what a GGUF file has no
// words for, or llama.cpp computes otherwise; nil if it is.
func (c *Config) GGUFError() error {
	_, _, err := c.ggufMetadata()
	return errors.Join(err, c.LlamaCppError())
}
