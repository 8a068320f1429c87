// Gen turns the headers of shaders/*.comp into Go, and their bodies into SPIR-V.
//
//	go run ./shaders/gen                     write kernels_gen.go
//	go run ./shaders/gen -glslc COMMAND      also compile: spv/*.spv and spv/MANIFEST
//	go run ./shaders/gen -glslc COMMAND -bound   the same in bound/, for tests: arguments by descriptors
//
// COMMAND runs the pinned compiler, for example "tools/.vk/run glslc". For kernels of another
// program, in the folder of its Go package:
//
//	go run github.com/agora-ml/agora/shaders/gen -package main -dir . -glslc glslc
//
// writes kernels_gen.go with the structs, which it registers, and NAME.spv beside each NAME.comp; any
// glslc will do.
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
	glslc := flag.String("glslc", "", "command that runs "+compilerVersion+"; empty: do not compile")
	bound := flag.Bool("bound", false, "compile with arguments by descriptors, to the folder bound")
	pkg := flag.String("package", "", "the kernels are those of another program's package, of this name")
	flag.Parse()
	var err error
	switch {
	case *pkg == "":
		err = run(*dir, *glslc, *bound)
	case *bound:
		err = errors.New("-bound: want it without -package")
	default:
		err = runOwn(*pkg, *dir, *glslc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir, glslc string, bound bool) error {
	src, err := load(dir)
	if err != nil {
		return err
	}
	kernels, enums, err := src.parse()
	if err != nil {
		return err
	}
	code, err := emit(kernels, enums)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "kernels_gen.go"), code, 0o644); err != nil {
		return err
	}
	if glslc == "" {
		return nil
	}
	return compile(dir, glslc, bound, src, kernels)
}

// runOwn makes what another program's package needs for its kernels.
func runOwn(pkg, dir, glslc string) error {
	src, err := load(dir)
	if err != nil {
		return err
	}
	includes, err := fs.Glob(include.Files, "*.glsl")
	if err != nil {
		return err
	}
	for _, name := range includes {
		text, err := include.Files.ReadFile(name)
		if err != nil {
			return err
		}
		if _, ok := src["include/"+name]; !ok {
			src["include/"+name] = string(text)
		}
	}
	kernels, _, err := src.parse()
	if err != nil {
		return err
	}
	for _, k := range kernels {
		if k.pkg = pkg; k.base != "" {
			return fmt.Errorf("%s.comp: //for: alternatives are for Agora's own kernels", k.name)
		}
		for _, f := range k.consts {
			if f.values > 0 {
				return fmt.Errorf("%s.comp: CONST %s: want bool or uint: an enum has no Go type here", k.name, f.name)
			}
		}
	}
	if glslc != "" {
		if err := compileOwn(dir, glslc, src, kernels); err != nil {
			return err
		}
	}
	for _, k := range kernels {
		_, err := os.Stat(filepath.Join(dir, k.name+".spv"))
		k.compiled = k.body && err == nil
	}
	code, err := emitOwn(pkg, kernels)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "kernels_gen.go"), code, 0o644)
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
