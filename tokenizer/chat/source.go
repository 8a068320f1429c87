package chat

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/agora-ml/agora/internal/jinja"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/tokenizer"
)

// JinjaFile is where newer folders have their template; it comes before the one in
// tokenizer_config.json.
const JinjaFile = "chat_template.jinja"

// toolUse is the name of a template for conversations with tools, beside the one that is named default.
const toolUse = "tool_use"

// toolUseFile is where folders with a JinjaFile have it.
var toolUseFile = filepath.Join("additional_chat_templates", toolUse+".jinja")

// sources are the templates of a folder.
type sources struct {
	usual   string
	toolUse string // for conversations with tools; "": the usual one
}

// Source is the text of the template that a model's folder has, "" if it has none of its own.
func Source(dir string) (string, error) {
	_, found, _, err := fromFolder(dir)
	if err != nil {
		err = fmt.Errorf("chat: %w", err)
	}
	return found.usual, err
}

// fromFolder is what a model's folder says of chats, and the file that says it.
func fromFolder(dir string) (name string, found sources, config *tokenizer.Config, err error) {
	config, err = tokenizer.ReadConfig(filepath.Join(dir, tokenizer.ConfigFile))
	if errors.Is(err, fs.ErrNotExist) {
		config, err = &tokenizer.Config{}, nil
	}
	if err != nil {
		return dir, found, nil, err
	}
	if name, found, err = findSources(dir, config); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return name, found, config, err
}

// findSources gives the folder's own templates and where they stand.
func findSources(dir string, config *tokenizer.Config) (name string, found sources, err error) {
	name = filepath.Join(dir, JinjaFile)
	found.usual, err = readTemplate(name)
	if errors.Is(err, fs.ErrNotExist) {
		name = filepath.Join(dir, tokenizer.ConfigFile) + ": chat_template"
		if len(config.ChatTemplate) == 0 {
			return name, found, nil
		}
		err = strictjson.Unmarshal(config.ChatTemplate, &found)
		if e, ok := errors.AsType[*strictjson.Error](err); ok { // its line counts in the template
			err = fmt.Errorf("want %s, got %s", e.Want, e.Got)
		}
		return name, found, err
	}
	if err == nil {
		named := filepath.Join(dir, toolUseFile)
		if found.toolUse, err = readTemplate(named); errors.Is(err, fs.ErrNotExist) {
			err = nil
		} else if err != nil {
			name = named
		}
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok { // the caller names the file
		err = e.Err
	}
	return name, found, err
}

func readTemplate(path string) (string, error) {
	b, err := regular.Read(path, jinja.MaxSource)
	return string(b), err
}

// UnmarshalJSON implements json.Unmarshaler: a template is a string, or a list has named ones.
func (s *sources) UnmarshalJSON(b []byte) error {
	if strictjson.Unmarshal(b, &s.usual) == nil {
		return nil
	}
	var list []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if err := strictjson.Unmarshal(b, &list); err != nil {
		return &strictjson.Error{Line: 1, Want: "a string or a list of names and templates",
			Got: fmt.Sprintf("%.60s", b)}
	}
	found := false
	for _, t := range list {
		switch t.Name {
		case "default":
			s.usual, found = t.Template, true
		case toolUse:
			s.toolUse = t.Template
		}
	}
	if !found {
		return &strictjson.Error{Line: 1, Want: fmt.Sprintf("a template named default among %d", len(list)), Got: "none"}
	}
	return nil
}
