package printable

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestEscapes(t *testing.T) {
	for _, c := range []struct{ in, text, name string }{
		{"", "", ""},
		{"plain ascii, größer, 日本語, 🙂", "plain ascii, größer, 日本語, 🙂", "plain ascii, größer, 日本語, 🙂"},
		{"two\nlines\tand a tab", "two\nlines\tand a tab", `two\nlines\tand a tab`},
		{"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`, `\x1b[31mred\x1b[0m`},
		{"\x1b]0;title\a", `\x1b]0;title\x07`, `\x1b]0;title\x07`},
		{"over\rwritten\b\v\f\x00", `over\rwritten\x08\x0b\x0c\x00`, `over\rwritten\x08\x0b\x0c\x00`},
		{"\x7f", `\x7f`, `\x7f`},
		{"\u009b31m\u0085", `\u009b31m\u0085`, `\u009b31m\u0085`},
		{"a\u202eb\u2066c\u2069\u200e\u061c", `a\u202eb\u2066c\u2069\u200e\u061c`, `a\u202eb\u2066c\u2069\u200e\u061c`},
		{"\u2028\u2029", `\u2028\u2029`, `\u2028\u2029`},
		{"\xff\xfe \xe2\x82 \xc0\x9b \xed\xa0\x80", `\xff\xfe \xe2\x82 \xc0\x9b \xed\xa0\x80`,
			`\xff\xfe \xe2\x82 \xc0\x9b \xed\xa0\x80`},
		{"👩\u200d👧 می\u200cخواهم", "👩\u200d👧 می\u200cخواهم", "👩\u200d👧 می\u200cخواهم"},
		{"soft\u00adhyphen \ufeff \U000e0041", "soft\u00adhyphen \ufeff \U000e0041",
			`soft\u00adhyphen \ufeff \U000e0041`},
		{`a backslash \x1b`, `a backslash \x1b`, `a backslash \x1b`},
		{"\ufffd", "\ufffd", "\ufffd"},
	} {
		if got := Text(c.in); got != c.text {
			t.Errorf("Text(%q) = %q, want %q", c.in, got, c.text)
		}
		if got := Name(c.in); got != c.name {
			t.Errorf("Name(%q) = %q, want %q", c.in, got, c.name)
		}
	}
}

// JSON with escapes says what it said without.
func TestJSON(t *testing.T) {
	for _, s := range []string{"a", "\x7f", "\u009b31m", "\u202e\u2028", "\x1b\r\n\t", "😀\\\""} {
		text, err := json.Marshal([]string{s})
		if err != nil {
			t.Fatal(err)
		}
		shown := JSON(text)
		var got []string
		if err := json.Unmarshal(shown, &got); err != nil || got[0] != s {
			t.Errorf("%q became %s: %q, %v", s, shown, got, err)
		}
		if string(shown) != Text(string(shown)) {
			t.Errorf("%q became %q, which is not printable", s, shown)
		}
	}
}

// However a text is cut into writes, the same comes out.
func TestWriterCuts(t *testing.T) {
	const text = "a\x1b[31mé日🙂\u202e\xff\xe2\x82x\u009b\r\n\xf0\x9f\x99"
	for size := 1; size <= len(text); size++ {
		var b bytes.Buffer
		w := NewWriter(&b)
		for at := 0; at < len(text); at += size {
			part := text[at:min(at+size, len(text))]
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatalf("wrote %d of %d, %v", n, len(part), err)
			}
		}
		if err := w.Flush(); err != nil || b.String() != Text(text) {
			t.Errorf("in writes of %d: %q, %v, want %q", size, &b, err, Text(text))
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestWriterPassesErrorsOn(t *testing.T) {
	w := NewWriter(broken{})
	if n, err := w.Write([]byte("a")); n != 0 || err == nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if _, err := w.Write([]byte("\xe2")); err != nil {
		t.Errorf("half a rune: %v", err)
	}
	if err := w.Flush(); err == nil {
		t.Error("flushed half a rune to a broken writer")
	}
}

// FuzzWriter: what is cut anywhere is what comes whole; nothing that is not printable passes; what
// is printable is not touched.
func FuzzWriter(f *testing.F) {
	f.Add("\x1b[31mred\u202e\xff\xe2\x82", 3)
	f.Add("é日🙂\n\t", 1)
	f.Fuzz(func(t *testing.T, text string, size int) {
		var b bytes.Buffer
		w := NewWriter(&b)
		size = 1 + int(uint(size)%16)
		for at := 0; at < len(text); at += size {
			_, _ = w.Write([]byte(text[at:min(at+size, len(text))])) // a buffer takes everything
		}
		_ = w.Flush()
		out := b.String()
		if out != Text(text) {
			t.Fatalf("%q in writes of %d became %q, want %q", text, size, out, Text(text))
		}
		if Text(out) != out || Name(Name(text)) != Name(text) {
			t.Fatalf("%q became %q, which is not printable", text, out)
		}
		if strings.ContainsAny(out, "\x1b\r\b\x00\x7f\u009b\u202e\u2028") || strings.ContainsAny(Name(text), "\n\t") {
			t.Fatalf("%q became %q", text, out)
		}
	})
}
