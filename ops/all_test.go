package ops

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
)

// What is not in All has no test at all.
func TestAllHasEveryOperation(t *testing.T) {
	var listed []string
	named := []string{"max", "multi_lora", "multi_lora_rows"} // otherwise than their types
	for _, op := range All() {
		typ := reflect.TypeOf(op)
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if slices.Contains(listed, typ.Name()) {
			t.Errorf("All has %s twice", typ.Name())
		}
		listed = append(listed, typ.Name())
		if name := autograd.OpName(op); !slices.Contains(named, name) &&
			strings.ReplaceAll(name, "_", "") != strings.ToLower(typ.Name()) {
			t.Errorf("%s is called %s in messages", typ.Name(), name)
		}
	}
	declared := typesWithExamples(t)
	for _, name := range declared {
		if !slices.Contains(listed, name) {
			t.Errorf("%s has Examples, but nothing calls them: add it to All", name)
		}
	}
	if len(declared) < len(listed) {
		t.Errorf("%d types with Examples were found, All has %d", len(declared), len(listed))
	}
}

// typesWithExamples are the types of this package's files with a method Examples.
func typesWithExamples(t *testing.T) (names []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Examples" {
				continue
			}
			typ := f.Recv.List[0].Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			names = append(names, typ.(*ast.Ident).Name)
		}
	}
	return names
}
