// Gen turns the headers of .comp files into a Go package, and their bodies into SPIR-V. For Agora's own
// kernels:
//
//	go run ./shaders/gen                     write internal/kernels/kernels_gen.go
//	go run ./shaders/gen -glslc COMMAND      also compile: spv/*.spv and spv/MANIFEST beside it
//	go run ./shaders/gen -glslc COMMAND -bound   the same in bound/, for tests: arguments by descriptors
//
// COMMAND runs the pinned compiler, for example "tools/.vk/run glslc". For kernels of another
// program, in the folder of its Go package:
//
//	go run github.com/agora-ml/agora/shaders/gen -package main -dir . -glslc glslc
//
// writes kernels_gen.go, and NAME.spv beside each NAME.comp; any glslc will do.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/shaders/include"
)

func main() {
	dir := flag.String("dir", "shaders", "folder of the .comp files")
	out := flag.String("out", "internal/kernels", "folder of the package with Agora's own kernels")
	glslc := flag.String("glslc", "", "command that runs "+compilerVersion+"; empty: do not compile")
	bound := flag.Bool("bound", false, "compile with arguments by descriptors, to the folder bound")
	pkg := flag.String("package", "",
		"the kernels are those of another program's package, of this name, in the folder -dir")
	flag.Parse()
	g := generator{dir: *dir, out: *out, glslc: *glslc, bound: *bound, pkg: "kernels"}
	var err error
	if *pkg != "" {
		g.out, g.pkg, g.prefix = *dir, *pkg, *pkg+"."
		if *bound {
			err = errors.New("-bound: want it without -package")
		}
	}
	if err == nil {
		err = g.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generator makes one package of kernels.
type generator struct {
	dir, out string // folders of the .comp files and of the package
	pkg      string // the package's name
	prefix   string // of the kernels' names: a program's own never meet one of Agora's. "": Agora's
	glslc    string
	bound    bool
}

// own reports whether the kernels are another program's.
func (g *generator) own() bool { return g.prefix != "" }

func (g *generator) run() error {
	src, err := load(g.dir)
	if err != nil {
		return err
	}
	if err := src.addIncludes(); err != nil {
		return err
	}
	kernels, enums, err := src.parse()
	if err != nil {
		return err
	}
	if g.glslc != "" {
		if err := g.compile(src, kernels); err != nil {
			return err
		}
	}
	for _, k := range kernels {
		k.prefix, k.compiled = g.prefix, k.body
		if g.own() && k.body {
			_, err := os.Stat(filepath.Join(g.out, k.builds()[0].name+".spv"))
			k.compiled = err == nil
		}
	}
	code, err := emit(g.pkg, kernels, enums)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(g.out, "kernels_gen.go"), code, 0o644)
}

// sources are the .comp and .glsl files by slash path relative to the folder.
type sources map[string]string

func load(dir string) (sources, error) {
	src := sources{}
	for _, pattern := range []string{"*.comp", "include/*.glsl"} {
		files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				return nil, err
			}
			rel, err := filepath.Rel(dir, f)
			if err != nil {
				return nil, err
			}
			src[filepath.ToSlash(rel)] = strings.ReplaceAll(string(b), "\r\n", "\n")
		}
	}
	if len(src) == 0 {
		return nil, fmt.Errorf("%s: no .comp files", dir)
	}
	return src, nil
}

// addIncludes adds the shared pieces that are not there.
func (src sources) addIncludes() error {
	names, err := fs.Glob(include.Files, "*.glsl")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := include.Files.ReadFile(name)
		if err != nil {
			return err
		}
		if _, ok := src["include/"+name]; !ok {
			src["include/"+name] = string(text)
		}
	}
	return nil
}

// parse reads every header, in the order of their names.
func (src sources) parse() ([]*kernel, []*enum, error) {
	var enums []*enum
	byName := map[string]*enum{}
	for _, file := range slices.Sorted(maps.Keys(src)) {
		if !strings.HasSuffix(file, ".glsl") {
			continue
		}
		list, err := parseEnums(file, src[file])
		if err != nil {
			return nil, nil, err
		}
		for _, e := range list {
			byName[e.name] = e
		}
		enums = append(enums, list...)
	}
	var kernels []*kernel
	for _, file := range slices.Sorted(maps.Keys(src)) {
		if !strings.HasSuffix(file, ".comp") {
			continue
		}
		k, err := parseKernel(file, src[file], byName)
		if err != nil {
			return nil, nil, err
		}
		kernels = append(kernels, k)
	}
	slices.SortFunc(kernels, func(a, b *kernel) int { return strings.Compare(a.name, b.name) })
	return kernels, enums, checkAlternatives(kernels)
}
