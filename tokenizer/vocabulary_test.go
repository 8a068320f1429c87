package tokenizer

import (
	"slices"
	"testing"
)

func TestVocabulary(t *testing.T) {
	m := llama("a", "b")
	m.pieces = append(m.pieces, piece{"<x>", 0, userDefined}, piece{"z", -9, unused})
	m.noDummy = true
	v := parse(t, m).Vocabulary()
	n := len(m.pieces)
	if len(v.Pieces) != n || len(v.Scores) != n || len(v.Types) != n || v.Unknown != 0 || v.DummyPrefix {
		t.Fatalf("%d pieces, %d scores, %d types of %d pieces, unknown %d, dummy prefix %v", len(v.Pieces),
			len(v.Scores), len(v.Types), n, v.Unknown, v.DummyPrefix)
	}
	for i, p := range m.pieces {
		if v.Pieces[i] != p.text || v.Scores[i] != p.score || v.Types[i] != int32(p.kind) {
			t.Errorf("piece %d is %q %v %d, want %v", i, v.Pieces[i], v.Scores[i], v.Types[i], p)
		}
	}
	if got, want := v.Types[:4], []int32{2, 3, 3, 6}; !slices.Equal(got, want) {
		t.Errorf("types begin with %v, want %v", got, want)
	}
	if got, want := v.Types[n-2:], []int32{4, 5}; !slices.Equal(got, want) {
		t.Errorf("types end with %v, want %v", got, want)
	}
}
