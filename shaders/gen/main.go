// Gen turns the headers of shaders/*.comp into Go, and their bodies into SPIR-V.
//
//	go run ./shaders/gen                     write kernels_gen.go
//	go run ./shaders/gen -glslc COMMAND      also compile: spv/*.spv and spv/MANIFEST
//	go run ./shaders/gen -glslc COMMAND -bound   the same in bound/, for tests: arguments by descriptors
//
// COMMAND runs the pinned compiler, for example "tools/.vk/run glslc".
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	dir := flag.String("dir", "shaders", "folder of the .comp files")
	glslc := flag.String("glslc", "", "command that runs "+compilerVersion+"; empty: do not compile")
	bound := flag.Bool("bound", false, "compile with arguments by descriptors, to the folder bound")
	flag.Parse()
	if err := run(*dir, *glslc, *bound); err != nil {
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
