package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Addresses of arguments are chosen by numbers and names of bindings: what differs within a subgroup may not index push constants
// (VUID-RuntimeSpirv-None-04745), where a card takes the first invocation's and no software device shows it.
func TestAddressesAreIndexedByBindings(t *testing.T) {
	index, binding := regexp.MustCompile(`\baddress\[([^\]]*)\]`), regexp.MustCompile(`^(\d+|b|c|binding|[A-Z_]+)$`)
	found := 0
	for _, pattern := range []string{"../*.comp", "../include/*.glsl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err, len(files))
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range index.FindAllSubmatch(text, -1) {
				if found++; !binding.Match(m[1]) {
					t.Errorf("%s: address[%s]: want the number or name of a binding", file, m[1])
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("%d addresses in all shaders: want those of every include that loads", found)
	}
}
