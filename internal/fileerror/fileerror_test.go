package fileerror

import (
	"bytes"
	"strings"
	"testing"
)

func TestMessage(t *testing.T) {
	for want, got := range map[string]string{
		`gguf: m.gguf: key "a": tensor "b": want 1, got 2`: Message("gguf", "m.gguf", "1", "2", Place{"key", `"a"`},
			Place{"tensor", `"b"`}),
		`llama: c.json: rope_theta: want 1, got 2`: Message("llama", "c.json", "1", "2", Place{"", "rope_theta"},
			Place{"tensor", ""}),
		`gguf: want 1, got 2`: Message("gguf", "", "1", "2"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestLongTexts(t *testing.T) {
	long := strings.Repeat("é", 1000)
	if got, want := Quote(long), `"`+long[:200]+`"…`; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := Short("a"+long), "a"+long[:78]+"…"; got != want { // not half a letter
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Quote(""); got != `""` {
		t.Errorf("got %s", got)
	}
	if got := QuoteName(""); got != "" {
		t.Errorf("got %s", got)
	}
	if got := Shape(make([]int, 9)); got != "a shape of 9 dimensions" {
		t.Errorf("got %s", got)
	}
}

func TestLimited(t *testing.T) {
	var b bytes.Buffer
	w := &Limited{W: &b, Left: 3}
	if n, err := w.Write([]byte("ab")); n != 2 || err != nil {
		t.Errorf("wrote %d, error %v", n, err)
	}
	if n, err := w.Write([]byte("cd")); n != 0 || err == nil || b.String() != "ab" || w.Left != 1 {
		t.Errorf("wrote %d of too many, error %v, %q, %d left", n, err, b.String(), w.Left)
	}
}
