package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func loadAll(t *testing.T) (sources, []*kernel, []*enum) {
	t.Helper()
	src, err := load("..")
	if err != nil {
		t.Fatal(err)
	}
	kernels, enums, err := src.parse()
	if err != nil {
		t.Fatal(err)
	}
	return src, kernels, enums
}

func TestGeneratedIsFresh(t *testing.T) {
	_, kernels, enums := loadAll(t)
	for _, k := range kernels {
		k.compiled = k.body
	}
	want, err := emit("kernels", kernels, enums)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../internal/kernels/kernels_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
		t.Error("kernels_gen.go is not what the headers say: run go generate ./internal/kernels")
	}
}

func TestManifestIsFresh(t *testing.T) {
	src, kernels, _ := loadAll(t)
	files, err := filepath.Glob("../../internal/kernels/spv/*.spv")
	if err != nil {
		t.Fatal(err)
	}
	spv := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		spv[strings.TrimSuffix(filepath.Base(f), ".spv")] = b
	}
	for _, k := range kernels {
		for _, build := range k.builds() {
			if b, ok := spv[build.name]; ok != k.body {
				t.Errorf("%s: body %v, compiled %v", build.name, k.body, ok)
			} else if ok && !bytes.HasPrefix(b, []byte{3, 2, 0x23, 7}) {
				t.Errorf("%s.spv does not begin as SPIR-V", build.name)
			}
		}
	}
	if bodies := strings.Count(manifest(src, kernels, spv), "\n") - 2; len(spv) != bodies {
		t.Errorf("%d compiled shaders, %d with a body", len(spv), bodies)
	}
	got, err := os.ReadFile("../../internal/kernels/spv/MANIFEST")
	if err != nil {
		t.Fatal(err)
	}
	if want := manifest(src, kernels, spv); strings.ReplaceAll(string(got), "\r\n", "\n") != want {
		t.Errorf("spv/ is not what the sources give: compile again (see README.md)\n got %s\nwant %s", got, want)
	}
}

func TestHashFollowsIncludes(t *testing.T) {
	src := sources{"a.comp": "#include \"b.glsl\"\n", "b.glsl": "#include \"c.glsl\"\n#include \"b.glsl\"\n",
		"c.glsl": "x"}
	before := src.hash("a.comp")
	src["c.glsl"] = "y"
	if bytes.Equal(before, src.hash("a.comp")) {
		t.Error("a change in an include of an include left the hash as it was")
	}
}
