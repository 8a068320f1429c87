package train

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// fields are those of a struct that settings must cover, by their addresses.
func fields(v reflect.Value, all map[any]string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Name == "Ranks" || f.Name == "Alphas": // of single layers: only in files
		case f.Type.Kind() == reflect.Struct:
			fields(v.Field(i), all)
		default:
			all[v.Field(i).Addr().Interface()] = f.Name
		}
	}
}

// Each exported field of Config has one row, and what a row says is whole.
func TestEveryFieldHasARow(t *testing.T) {
	var c Config
	unset := map[any]string{}
	fields(reflect.ValueOf(&c).Elem(), unset)
	names := map[string]bool{}
	for _, s := range c.Settings() {
		if unset[s.value.field()] == "" {
			t.Errorf("%s: want a field of Config that no other setting has", s.Name)
		}
		delete(unset, s.value.field())
		if v, ok := s.value.(*dtypeValue); ok {
			delete(unset, any(v.stored))
		}
		switch {
		case names[s.Name] || !regexp.MustCompile(`^[a-z][a-z0-9-]*[a-z0-9]$`).MatchString(s.Name):
			t.Errorf("%q: want a name of its own in lower case, with digits and hyphens", s.Name)
		case s.Meaning == "" || s.Group == "":
			t.Errorf("%s has no meaning or group", s.Name)
		case s.Resume < Fixed || s.Resume > Free:
			t.Errorf("%s: want what becomes of it when a run goes on, got %d", s.Name, s.Resume)
		case s.IsNumber() && s.Least >= s.Most:
			t.Errorf("%s: want bounds, got %v to %v", s.Name, s.Least, s.Most)
		case !s.IsNumber() && (s.Least != 0 || s.Most != 0 || s.Unit != ""):
			t.Errorf("%s has bounds or a unit and is no number", s.Name)
		}
		names[s.Name] = true
	}
	for _, name := range unset {
		t.Errorf("Config.%s has no setting", name)
	}
}

// Every default passes its own check.
func TestDefaultsAreValid(t *testing.T) {
	c := Defaults()
	for _, s := range c.Settings() {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		if s.String() != s.value.initial() {
			t.Errorf("%s: Defaults has %q, its row %q", s.Name, s, s.value.initial())
		}
	}
}

// What somebody sets is used: each field of a setting is read somewhere beside its row.
func TestEverySettingIsUsed(t *testing.T) {
	var c Config
	unused := map[any]string{}
	fields(reflect.ValueOf(&c).Elem(), unused)
	read := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	adapter, err := filepath.Glob("../multilora/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, adapter...) {
		if strings.HasSuffix(file, "_test.go") || file == "settings.go" || file == "config.go" ||
			file == "validate.go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if x, ok := n.(*ast.SelectorExpr); ok {
				read[x.Sel.Name] = true
			}
			return true
		})
	}
	read["ComputeDType"], read["AsStored"] = true, true // by Config.Storage
	for _, name := range unused {
		if !read[name] {
			t.Errorf("Config.%s is set and never used", name)
		}
	}
}

// The document has a line for every setting; make docs writes it.
func TestEverySettingIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	c := Defaults()
	for _, s := range c.Settings() {
		row := regexp.MustCompile("(?m)^\\| `" + s.Name + "` \\| " + s.Type() + " \\|.* " + s.Resume.String() + " \\|")
		if !row.Match(text) {
			t.Errorf("docs/configuration.md does not have %s as it is: make docs", s.Name)
		}
	}
}

// An error names the place where the setting was given: a file and its line, or the flag.
func TestSettingErrorsNameTheirPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.yaml")
	if err := os.WriteFile(path, []byte("model: m\ndata: d\n\nsteps: 5\nout: o\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := Defaults()
	if err := c.Read(path); err != nil {
		t.Fatal(err)
	}
	before := c
	c.Steps = 0
	if err := c.Validate(); err == nil || err.Error() != path+":4: steps: want at least 1, got 0" {
		t.Errorf("of a file: %v", err)
	}
	for _, s := range c.Settings() {
		if s.Name == "steps" {
			if err := s.Set("-1"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Validate(); err == nil || err.Error() != "--steps: want at least 1, got -1" {
		t.Errorf("of a flag: %v", err)
	}
	before.Steps = 0
	if err := before.Validate(); err == nil || err.Error() != path+":4: steps: want at least 1, got 0" {
		t.Errorf("a copy took the place of another Config: %v", err)
	}
}
