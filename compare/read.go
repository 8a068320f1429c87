package compare

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/yamlfile"
)

// Read reads an experiment. What is missing is as in Defaults; a field that there is not, or that
// stands twice, is an error, which names file and line.
func Read(path string) (Experiment, error) {
	text, err := regular.Read(path, yamlfile.Most)
	if err != nil {
		return Experiment{}, err
	}
	return parse(path, text)
}

// parse is Read for a file's text.
func parse(path string, text []byte) (Experiment, error) {
	e := Defaults()
	if err := e.decode(text); err != nil {
		return Experiment{}, fmt.Errorf("%s:%w", path, err)
	}
	if err := e.Validate(); err != nil {
		return Experiment{}, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}

// decode takes the fields that a text names; its errors begin with the line.
func (e *Experiment) decode(text []byte) error {
	tokens, err := yamlfile.Tokens(text)
	if err != nil {
		return err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return yamlError(err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return errors.New("1: want one document with the fields of an experiment")
	}
	body := file.Docs[0].Body
	for _, kind := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} { // they could multiply
		if found := ast.Filter(kind, body); len(found) > 0 {
			at := found[0].GetToken().Position.Line
			return fmt.Errorf("%d: want plain values, got %s", at, strings.ToLower(kind.String()))
		}
	}
	if err := yaml.NodeToValue(body, e, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
		return yamlError(err)
	}
	return nil
}

// yamlError shortens the parser's error to its line and message.
func yamlError(err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil && e.GetToken().Position != nil {
		return fmt.Errorf("%d: %s", e.GetToken().Position.Line, e.GetMessage())
	}
	return fmt.Errorf("1: %w", err)
}
