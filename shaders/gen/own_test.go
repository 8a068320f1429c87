package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A package of another program has its own prefix, enums of the shared includes, alternatives, and no name that
// one of Agora's kernels has.
func TestOwnPackage(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("thing_grad.comp", good+"void main() {}\n")
	write("other.comp", other)
	generate := func() string {
		g := generator{dir: dir, out: dir, pkg: "mine", prefix: "mine."}
		if err := g.run(); err != nil {
			t.Fatal(err)
		}
		code, err := os.ReadFile(filepath.Join(dir, "kernels_gen.go"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(code)), " ")
	}
	code := generate()
	for _, want := range []string{"package mine", `{ return "mine.thing_grad" }`, `Name: "mine.thing_grad"`,
		"type Func uint32"} {
		if !strings.Contains(code, want) {
			t.Errorf("no %s in\n%s", want, code)
		}
	}
	for _, not := range []string{"embed", "SPIRV", "Alternatives", "type Relation"} {
		if strings.Contains(code, not) {
			t.Errorf("%s, though nothing was compiled, in\n%s", not, code)
		}
	}
	for _, name := range []string{"thing_grad", "other_f16", "other_bf16"} {
		write(name+".spv", "")
	}
	code = generate()
	for _, want := range []string{
		"//go:embed other_f16.spv other_bf16.spv thing_grad.spv var compiled embed.FS", `SPIRV: spirv("thing_grad")`,
		`Name: "mine.other"`, `"bf16": spirv("other_bf16")`,
	} {
		if !strings.Contains(code, want) {
			t.Errorf("no %s in\n%s", want, code)
		}
	}
}
