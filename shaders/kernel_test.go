package shaders

import (
	"slices"
	"testing"
)

func TestParseSig(t *testing.T) {
	got, err := parseSig("S?+T=WI?")
	want := []Binding{
		{Letter: 'S', Written: true, Read: true, Optional: true},
		{Letter: 'T', Written: true},
		{Letter: 'W', Read: true},
		{Letter: 'I', Read: true, Optional: true},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := parseSig("T="); err != nil || len(got) != 1 {
		t.Errorf("no inputs: %v, %v", got, err)
	}
	for _, sig := range []string{"", "T", "=T", "?T=", "T=?", "T??=T", "T++=T", "T=T+", "T=X", "T=T=T", "+T="} {
		if got, err := parseSig(sig); err == nil {
			t.Errorf("%q accepted as %v", sig, got)
		}
	}
}
