package train

import (
	"os"
	"path/filepath"
	"testing"
)

// Of large weights not every byte is hashed, but the head, the end, and some of whatever is
// as wide as the distance between two blocks. Of all else every byte is.
func TestDigestOfLargeFiles(t *testing.T) {
	const size = 96 << 20
	path := filepath.Join(t.TempDir(), "model.safetensors")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil { // zeros that take no room
		t.Fatal(err)
	}
	digest := func(setting string) input {
		t.Helper()
		in := input{Setting: setting, Name: "x", path: path}
		if err := in.digest(t.Context()); err != nil {
			t.Fatal(err)
		}
		if in.Size != size || len(in.SHA256) != 64 {
			t.Fatalf("%+v", in)
		}
		return in
	}
	write := func(at int64, b byte, n int) {
		t.Helper()
		content := make([]byte, n)
		for i := range content {
			content[i] = b
		}
		if _, err := f.WriteAt(content, at); err != nil {
			t.Fatal(err)
		}
	}
	zeros := digest("model")
	const apart = (size - weightsHead) / (weightBlocks - 1)
	for _, c := range []struct {
		at int64
		n  int
	}{{0, 1}, {weightsHead - 1, 1}, {size - 1, 1}, {weightsHead + 1, apart}, {50 << 20, apart}, {size - apart, apart}} {
		write(c.at, 1, c.n)
		if digest("model") == zeros {
			t.Errorf("%d bytes at %d do not show", c.n, c.at)
		}
		write(c.at, 0, c.n)
	}
	if digest("model") != zeros {
		t.Error("equal files have unequal hashes")
	}
	rows := digest("data")
	write(weightsHead+weightBlock+1, 1, 1) // between two blocks
	if digest("data") == rows || digest("model") != zeros {
		t.Error("the data must be hashed whole, and the weights in part")
	}
}

// A pipe can be read only once: nothing of it is.
func TestDigestOfAPipe(t *testing.T) {
	in := input{Setting: "data", path: os.DevNull}
	if err := in.digest(t.Context()); err != nil || in.Size != -1 || in.SHA256 != "" {
		t.Errorf("%+v, %v", in, err)
	}
	if err := (&Config{}).sameInputs([]input{in}, []input{{Setting: "data", Size: 3, SHA256: "ab"}},
		&judge{}); err != nil {
		t.Error(err)
	}
}
