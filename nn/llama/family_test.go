package llama

import (
	"slices"
	"testing"
)

// Families come in the order of their names, so that messages do not depend on that of the files.
func TestFamilies(t *testing.T) {
	names := modelTypes()
	if !slices.IsSorted(names) || !slices.Contains(names, "llama") || !slices.Contains(names, "qwen2") {
		t.Errorf("got %v", names)
	}
	for _, f := range families {
		if f.class == "" || f.gguf.architecture == "" || f.missing.hidden == 0 || f.missing.positions == 0 {
			t.Errorf("%s: want a class, an architecture and the defaults of sizes, got %+v", f.modelType, *f)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a family of a name that is taken: want a panic")
		}
	}()
	register(&family{modelType: "llama"})
}

func TestOneOf(t *testing.T) {
	for want, names := range map[string][]string{
		"": nil, `"a"`: {"a"}, `"a" or "b"`: {"a", "b"}, `"a", "b" or "c"`: {"a", "b", "c"},
	} {
		if got := oneOf(names); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
