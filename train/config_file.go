package train

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/yamlfile"
)

// Read sets the settings of c that a YAML file names, by the names of Settings, and
// leaves the others. Errors name file and line.
func (c *Config) Read(path string) error {
	text, err := regular.Read(path, yamlfile.Most)
	if err != nil {
		return err
	}
	if err := c.parse(path, text); err != nil {
		return fmt.Errorf("%s:%w", path, err)
	}
	return nil
}

// parse is Read for the text of the file at path; its errors begin with the line.
func (c *Config) parse(path string, text []byte) error {
	tokens, err := yamlfile.Tokens(text)
	if err != nil {
		return err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return yamlError(err)
	}
	settings := map[string]*Setting{}
	for _, s := range c.Settings() {
		settings[s.Name] = s
	}
	seen := map[string]bool{}
	for i, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if i > 0 {
			return fmt.Errorf("%d: want one document, got another", line(doc.Body))
		}
		pairs, err := mapping(doc.Body)
		if err != nil {
			return err
		}
		for _, pair := range pairs {
			name, at := pair.Key.GetToken().Value, line(pair.Key)
			s := settings[name]
			switch {
			case s == nil:
				return fmt.Errorf("%d: unknown setting %q%s", at, shortened(name), nearest(name, settings))
			case seen[name]:
				return fmt.Errorf("%d: %s: want it once, got it again", at, name)
			}
			seen[name] = true
			if err := s.setNode(pair.Value, place{path, at}); err != nil {
				return fmt.Errorf("%d: %s: %w", at, name, err)
			}
		}
	}
	return nil
}

func mapping(body ast.Node) ([]*ast.MappingValueNode, error) {
	switch n := body.(type) {
	case *ast.MappingNode:
		return n.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, nil
	case *ast.CommentGroupNode:
		return nil, nil
	}
	return nil, fmt.Errorf("%d: want lines of NAME: VALUE, got %s", line(body), kind(body))
}

func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, nil
	}
	return "", fmt.Errorf("want one value, got %s", kind(node))
}

func kind(node ast.Node) string {
	switch node.(type) {
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.NullNode:
		return "nothing"
	}
	return "a YAML " + strings.ToLower(node.Type().String())
}

func line(node ast.Node) int {
	if t := node.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

// yamlError shortens the parser's error to its line and message.
func yamlError(err error) error {
	if e, ok := err.(yaml.Error); ok && e.GetToken() != nil && e.GetToken().Position != nil {
		return fmt.Errorf("%d: %s", e.GetToken().Position.Line, e.GetMessage())
	}
	return fmt.Errorf("1: %w", err)
}

// nearest proposes the setting that a misspelt one may mean.
func nearest(name string, settings map[string]*Setting) string {
	plain := func(s string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s)) }
	best, least := "", 3
	for candidate := range settings {
		if d := distance(plain(name), plain(candidate)); d < least || d == least && candidate < best {
			best, least = candidate, d
		}
	}
	if best == "" || len(name) > 64 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is Levenshtein's: the fewest insertions, deletions and replacements.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

func shortened(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// Write writes every setting to a YAML file that Read takes, whole or not at all.
func (c Config) Write(path string) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		group := ""
		for _, s := range c.Settings() {
			if s.Group != group {
				if group != "" {
					fmt.Fprintln(w)
				}
				group = s.Group
				fmt.Fprintf(w, "# %s\n", group)
			}
			text, err := s.value.yaml()
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			if _, err := fmt.Fprintf(w, "%s: %s\n", s.Name, text); err != nil {
				return err
			}
		}
		return nil
	})
}

// quote writes a string so that no character of it means something to YAML: JSON's
// strings are YAML's.
func quote(text string) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(text)
	return strings.TrimSuffix(b.String(), "\n"), err
}
