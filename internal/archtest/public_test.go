package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// public lists every package that another module can import: what is in it cannot be taken
// back after a release. A package that only Agora needs belongs to an internal folder.
var public = []string{
	"autograd",
	"backend/cpu",
	"backend/cpu/gemm",
	"backend/vulkan",
	"batch",
	"compare",
	"data",
	"device",
	"dist",
	"encoding/gguf",
	"encoding/safetensors",
	"encoding/tfevents",
	"eval",
	"multilora",
	"nn",
	"nn/llama",
	"ops",
	"optest",
	"optim",
	"preference",
	"random",
	"shaders",
	"shaders/include",
	"shaders/kernelcode",
	"spectrum",
	"tasks",
	"tensor",
	"tokenizer",
	"tokenizer/chat",
	"tokenizer/learn",
	"train",
}

// plumbing are the public packages that generated code and shaders need and that nobody reads: they show no Example.
var plumbing = []string{"shaders/include", "shaders/kernelcode"}

func TestPublicPackages(t *testing.T) {
	var found []string
	examples := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("../..", path)
		if e.IsDir() {
			if rel != "." && (strings.HasPrefix(e.Name(), ".") ||
				slices.Contains([]string{"testdata", "internal"}, e.Name()) || otherModule(path)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		if strings.HasSuffix(path, "_test.go") {
			examples[dir] = examples[dir] || hasExample(f)
		} else if f.Name.Name != "main" && !slices.Contains(found, dir) {
			found = append(found, dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if !slices.Equal(found, public) {
		t.Errorf("public packages: want %v, got %v", public, found)
	}
	for _, dir := range public {
		if !examples[dir] && !slices.Contains(plumbing, dir) {
			t.Errorf("%s shows no Example on its page: want example_test.go", dir)
		}
	}
}

// otherModule reports whether a folder is a module of its own.
func otherModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil && filepath.Clean(dir) != filepath.Join("..", "..")
}

// hasExample reports whether a test file has a function that pkg.go.dev shows.
func hasExample(f *ast.File) bool {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Example") && fn.Recv == nil {
			return true
		}
	}
	return false
}
