// Package archtest checks the architecture: imports point down only.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/agora-ml/agora/"

// below lists, for every folder of packages, the folders it may import beside its
// own and the leaves. Tests are free, and so are examples and commands.
var below = map[string][]string{
	"batch":                {},
	"random":               {},
	"internal/strictjson":  {},
	"internal/regular":     {},
	"internal/stream":      {},
	"internal/hostmemory":  {},
	"internal/printable":   {},
	"internal/fileerror":   {},
	"internal/leftovers":   {},
	"internal/atomicfile":  {},
	"internal/cpulevel":    {},
	"internal/yamlfile":    {},
	"internal/half":        {},
	"internal/mapped":      {},
	"internal/quant":       {},
	"internal/columns":     {},
	"internal/parquetrows": {"internal/columns"},
	"internal/arrowrows":   {"internal/columns"},
	"encoding":             {},
	"internal/ggufblocks":  {"encoding"},
	"internal/jinja":       {},
	"tokenizer":            {"encoding", "internal/jinja"},
	"shaders":              {},
	"internal/kernels":     {"shaders"},
	"data":                 {"internal/columns", "internal/parquetrows", "internal/arrowrows", "tokenizer", "encoding"},
	"tensor":               {"shaders"},
	"backend/cpu":          {"internal/tracefile", "tensor", "internal/kernels", "shaders"},
	"internal/null":        {"tensor"},
	"backend/vulkan":       {"internal/tracefile", "tensor", "shaders"},
	"device":               {"internal/debug", "backend/cpu", "internal/null", "backend/vulkan", "tensor"},
	"autograd":             {"tensor", "internal/kernels"},
	"ops":                  {"autograd", "tensor", "internal/kernels", "shaders"},
	"optest":               {"autograd", "tensor", "internal/kernels", "shaders"},
	"internal/normals":     {},
	"nn":                   {"internal/normals", "ops", "autograd", "tensor", "internal/kernels", "encoding"},
	"optim":                {"nn", "autograd", "tensor", "internal/kernels"},
	"internal/torchfile":   {"encoding"},
	"multilora":            {"internal/lowrank", "internal/torchfile", "nn", "ops", "autograd", "tensor", "internal/kernels", "encoding"},
	"preference":           {},
	"dist":                 {},
	"train": {"preference", "eval", "tasks", "multilora", "optim", "nn", "ops", "autograd", "tensor", "device",
		"data", "tokenizer", "encoding", "dist", "internal/folderlock", "internal/kernels", "internal/version"},
	"tasks": {"data"},
	"eval":  {"tasks", "multilora", "nn", "ops", "autograd", "tensor", "data", "tokenizer", "encoding"},
	"compare": {"spectrum", "internal/synthetic", "internal/folderlock", "internal/termplot", "internal/version",
		"train", "eval", "tasks", "multilora", "optim", "nn", "data", "encoding", "tensor", "tokenizer"},
	"internal/bench": {"dist", "internal/normals", "internal/tinymodel", "train", "multilora", "optim", "nn", "ops", "data", "device",
		"backend/cpu", "backend/vulkan", "tensor", "internal/kernels", "shaders"},
	"internal/tracefile":  {},
	"internal/debug":      {"tensor", "internal/kernels", "shaders"},
	"internal/doctest":    {},
	"internal/folderlock": {},
	"internal/lowrank":    {},
	"internal/golden":     {"encoding"},
	"internal/realdata":   {},
	"internal/curves":     {"train", "internal/termplot", "internal/picture"},
	"internal/picture":    {"internal/termplot"},
	"internal/spectra":    {"spectrum", "internal/picture"},
	"spectrum":            {"internal/lowrank", "multilora", "nn"},
	"internal/termplot":   {},
	"internal/synthetic":  {"nn", "ops"},
	"internal/toy": {"internal/synthetic", "train", "eval", "multilora", "optim", "nn", "ops", "data",
		"device", "tensor", "tokenizer"},
	"internal/tinymodel":  {"multilora", "optim", "nn", "ops", "device", "data", "tensor"},
	"internal/testdevice": {"device", "tensor"},
	"internal/testworld":  {"dist"},
	"internal/version":    {},
}

// leaves import nothing of ours, and anybody may import them.
var leaves = []string{"batch", "random", "internal/atomicfile", "internal/cpulevel", "internal/half",
	"internal/mapped", "internal/quant", "internal/strictjson", "internal/regular", "internal/stream",
	"internal/hostmemory", "internal/printable", "internal/fileerror", "internal/leftovers", "internal/yamlfile"}

func TestImportsPointDown(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if e.IsDir() && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata") && rel != "." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		layer := layerOf(dir)
		if layer == "" {
			if !free(dir) {
				t.Errorf("%s belongs to no layer: name it in this test", dir)
			}
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if !strings.HasPrefix(imported, module) {
				continue
			}
			to := layerOf(strings.TrimPrefix(imported, module))
			if to != layer && !slices.Contains(leaves, to) && !slices.Contains(below[layer], to) {
				t.Errorf("%s imports %s: %s may import only %v", rel, imported, layer, below[layer])
			}
		}
		checked++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 50 {
		t.Errorf("only %d files checked", checked)
	}
}

// layerOf is the entry of below that a folder belongs to, or "".
func layerOf(dir string) string {
	for d := dir; d != "."; d = filepath.ToSlash(filepath.Dir(d)) {
		if _, ok := below[d]; ok {
			return d
		}
	}
	return ""
}

func free(dir string) bool {
	for _, top := range []string{"cmd", "examples", "internal/archtest", "tools"} {
		if dir == top || strings.HasPrefix(dir, top+"/") {
			return true
		}
	}
	return dir == "."
}
