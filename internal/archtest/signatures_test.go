package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What other modules see of a public package mentions no type of an internal one: they could not name it.
func TestSignaturesArePublic(t *testing.T) {
	checked := 0
	for _, dir := range public {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			internal := internalImports(f)
			for _, d := range f.Decls {
				checked++
				for _, seen := range visible(d) {
					ast.Inspect(seen, func(n ast.Node) bool {
						s, ok := n.(*ast.SelectorExpr)
						if !ok {
							return true
						}
						if x, ok := s.X.(*ast.Ident); ok && internal[x.Name] {
							t.Errorf("%s: other modules cannot name %s.%s", fset.Position(s.Pos()), x.Name, s.Sel.Name)
						}
						return true
					})
				}
			}
		}
	}
	if checked < 1000 {
		t.Errorf("only %d declarations checked", checked)
	}
}

// internalImports are the names under which a file knows internal packages.
func internalImports(f *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		if !strings.Contains(path+"/", "/internal/") {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = true
	}
	return names
}

// visible are the types that a declaration shows to other packages: no bodies, no values, nothing unexported.
func visible(d ast.Decl) (list []ast.Node) {
	if f, ok := d.(*ast.FuncDecl); ok {
		if f.Name.IsExported() && (f.Recv == nil || ast.IsExported(receiverName(f.Recv.List[0].Type))) {
			list = append(list, f.Type)
		}
		return list
	}
	for _, s := range d.(*ast.GenDecl).Specs {
		switch s := s.(type) {
		case *ast.ValueSpec:
			if s.Type != nil && s.Names[0].IsExported() {
				list = append(list, s.Type)
			}
		case *ast.TypeSpec:
			if !s.Name.IsExported() {
				continue
			}
			fields, ok := s.Type.(*ast.StructType)
			if !ok {
				list = append(list, s.Type)
				continue
			}
			for _, f := range fields.Fields.List {
				if f.Names == nil || f.Names[0].IsExported() {
					list = append(list, f.Type)
				}
			}
		}
	}
	return list
}

func receiverName(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiverName(t.X)
	case *ast.IndexExpr:
		return receiverName(t.X)
	case *ast.IndexListExpr:
		return receiverName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}
