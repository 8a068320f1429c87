package vec

import (
	"slices"
	"testing"
)

// Rows end with the memory at most, and are only asked for.
func TestFetch(t *testing.T) {
	x := []byte("rows of three bytes, seven apart")
	before := slices.Clone(x)
	Fetch(x[:24], 4, 3, 7)
	Fetch(x, 1, 1, 0)
	if !slices.Equal(x, before) {
		t.Errorf("fetching wrote %q", x)
	}
	defer func() {
		if recover() == nil {
			t.Error("four rows of three bytes, seven apart, were in 23")
		}
	}()
	Fetch(x[:23], 4, 3, 7)
}
