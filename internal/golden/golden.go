// Package golden reads the reference cases of testdata/golden, which say what other
// programs compute: README.md there describes them. Tests of several packages use it.
package golden

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
)

// Case is one case folder.
type Case struct {
	Name string // the folder's name
	Dir  string
	Base string // the folder of the model: Dir itself, or the one case.json names
	JSON []byte // case.json

	t    testing.TB
	file *safetensors.File
}

// Run runs f as a sub-test for every case of a kind ("causal-lm", "multilora",
// "peft"): those of testdata/golden, and those of the folders that the environment
// variable AGORA_GOLDEN lists.
func Run(t *testing.T, kind string, f func(t *testing.T, c *Case)) {
	found := false
	for _, dir := range folders(t) {
		paths, err := filepath.Glob(filepath.Join(dir, "*", "case.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var head struct{ Kind, Base string }
			if err := json.Unmarshal(text, &head); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if head.Kind != kind {
				continue
			}
			found = true
			c := &Case{Dir: filepath.Dir(path), JSON: text}
			c.Name, c.Base = filepath.Base(c.Dir), c.Dir
			if head.Base != "" {
				c.Base = filepath.Join(dir, head.Base)
			}
			t.Run(c.Name, func(t *testing.T) {
				c.t = t
				c.file, err = safetensors.Open(filepath.Join(c.Dir, "case.safetensors"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.file.Close()
				f(t, c)
			})
		}
	}
	if !found {
		t.Errorf("no case of kind %q in %v", kind, folders(t))
	}
}

// Folder is testdata/golden of this repository.
func Folder(t testing.TB) string {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return filepath.Join(dir, "testdata", "golden")
		}
		if dir == filepath.Dir(dir) {
			err = fmt.Errorf("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}

func folders(t testing.TB) []string {
	dirs := []string{Folder(t)}
	for _, dir := range filepath.SplitList(os.Getenv("AGORA_GOLDEN")) {
		if _, err := os.Stat(dir); err != nil {
			t.Fatalf("AGORA_GOLDEN: %v", err)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// Names are the names of all tensors of the case that begin with prefix, without it.
func (c *Case) Names(prefix string) []string {
	var names []string
	for _, name := range c.file.Names() {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			names = append(names, rest)
		}
	}
	return names
}

// Shape is the shape of a tensor.
func (c *Case) Shape(name string) []int { return slices.Clone(c.tensor(name).Shape) }

// Floats are the elements of a float tensor.
func (c *Case) Floats(name string) []float32 {
	c.t.Helper()
	v, err := c.tensor(name).Float32s()
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// Ints are the elements of an integer tensor.
func (c *Case) Ints(name string) []int32 {
	c.t.Helper()
	v, err := c.tensor(name).Int64s()
	if err != nil {
		c.t.Fatal(err)
	}
	out := make([]int32, len(v))
	for i, x := range v {
		out[i] = int32(x)
	}
	return out
}

func (c *Case) tensor(name string) safetensors.Tensor {
	c.t.Helper()
	x, err := c.file.Tensor(name)
	if err != nil {
		c.t.Fatal(err)
	}
	return x
}

// Near fails the test unless |got - want| <= limit |want|, by norm.
func (c *Case) Near(what string, got, want []float32, limit float64) {
	c.t.Helper()
	if e := RelativeError(got, want); !(e <= limit) {
		c.t.Errorf("%s: relative error %.3g, want at most %g", what, e, limit)
	}
}

// Gradients compares gradients by name with all tensors grad.NAME of the case: each
// must be there, and within 1e-4 of its own norm and 1e-6 of the norm of all.
func (c *Case) Gradients(got map[string][]float32) {
	c.t.Helper()
	names := c.Names("grad.")
	all := 0.0
	for _, name := range names {
		all = math.Hypot(all, norm(c.Floats("grad."+name)))
	}
	for _, name := range names {
		want := c.Floats("grad." + name)
		if got[name] == nil {
			c.t.Errorf("%s has no gradient", name)
			continue
		}
		limit := 1e-4*norm(want) + 1e-6*all
		if e := distance(got[name], want); !(e <= limit) {
			c.t.Errorf("gradient of %s: off by %.3g, want at most %.3g (its norm is %.3g)", name, e, limit, norm(want))
		}
	}
	for name := range got {
		if !slices.Contains(names, name) {
			c.t.Errorf("%s has a gradient, which the case does not know", name)
		}
	}
}

// RelativeError is |got - want| / |want| by Euclidean norm: NaN if the lengths differ,
// and |got| where want is zero.
func RelativeError(got, want []float32) float64 {
	d, n := distance(got, want), norm(want)
	if n == 0 {
		return d
	}
	return d / n
}

func distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

func norm(a []float32) float64 { return distance(a, make([]float32, len(a))) }
