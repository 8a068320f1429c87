package bench

import (
	"strings"
	"testing"
)

// What String says can be asked for, and no form stands twice among those worth a comparison.
func TestForms(t *testing.T) {
	seen := map[Form]bool{}
	shaders := map[string]int{}
	for _, f := range Forms() {
		got, err := ParseForm(strings.Replace(f.String(), " ", "=", 1))
		if err != nil || got != f {
			t.Errorf("%s: read as %+v, error %v", f, got, err)
		}
		if seen[f] {
			t.Errorf("%s twice", f)
		}
		seen[f] = true
		shaders[f.Shader]++
		if f.Shader == "matmul_gemv" {
			lanes := f.Tile[3] / 8
			if f.Tile[0]%32 != 0 || lanes%4 != 0 || f.Tile[0]%lanes != 0 || f.Tile[2]%(f.Tile[0]/lanes) != 0 ||
				f.Tile[1] > 8 {
				t.Errorf("%s: want whole subgroups, and of a workgroup as many teams as take the same number of columns", f)
			}
		} else if f.Tile[0]%32 != 0 || f.Tile[1]%16 != 0 || f.Tile[2]%16 != 0 || f.Tile[3]%8 != 0 {
			t.Errorf("%s: want whole subgroups, and blocks that every shader takes", f)
		}
	}
	if shaders["matmul"] < 4 || shaders["matmul_coopmat"] < 4 || shaders["matmul_gemv"] < 4 ||
		shaders["matmul_coopmat2"] < 4 {
		t.Errorf("forms of %v", shaders)
	}
}
