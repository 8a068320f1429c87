package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/regular"
)

const (
	generalPrefix = "general."
	generalName   = generalPrefix + "name"

	modelCard = "README.md" // of a model's folder; begins with YAML between two lines of three dashes
)

// aboutWeights are the keys that say what a file holds, not what it is called or who made it.
var aboutWeights = map[string]bool{
	"general.architecture": true, "general.type": true, "general.file_type": true,
	"general.quantization_version": true, "general.alignment": true,
}

// ggufAbout is what a model's folder or GGUF file says of itself, as general.* keys: the name (that of the
// folder, where nothing says it) and the license, and of a file whatever else it has there.
func ggufAbout(model string) ([]gguf.KeyValue, error) {
	name := strings.TrimSuffix(filepath.Base(filepath.Clean(model)), ".gguf")
	about := []gguf.KeyValue{{Key: generalName, Value: name}}
	if !isFile(model) {
		license, err := licenseKeys(filepath.Join(model, modelCard))
		return append(about, license...), err
	}
	f, err := gguf.Open(model)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, m := range f.Metadata() {
		switch {
		case m.Key == generalName:
			about[0] = m
		case strings.HasPrefix(m.Key, generalPrefix) && !aboutWeights[m.Key]:
			about = append(about, m)
		}
	}
	return about, nil
}

// maxCard is more bytes than any model card has.
const maxCard = 4 << 20

// licenseKeys is what a model card says of the model's license; none without a card. Of its YAML the lines that say it
// are read alone: cards are prose for people, and no reason to refuse a model.
func licenseKeys(card string) (keys []gguf.KeyValue, err error) {
	text, err := regular.Read(card, maxCard)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	if lines[0] != "---" {
		return nil, nil
	}
	names := map[string]string{"license": "", "license_name": ".name", "license_link": ".link"}
	for i, line := range lines[1:] {
		if line == "---" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		suffix, ok := names[name]
		if value = strings.TrimSpace(value); ok && value == "" && i+2 < len(lines) { // a list of one
			value, ok = strings.CutPrefix(strings.TrimSpace(lines[i+2]), "- ")
		}
		if value = strings.Trim(value, `[]"' `); ok && value != "" {
			keys = append(keys, gguf.KeyValue{Key: "general.license" + suffix, Value: value})
			delete(names, name)
		}
	}
	return keys, nil
}
