package data

import (
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Rows and documents packed by zstd; one that is no zstd, is cut short, or unpacks to far too much is an error.
func TestZstd(t *testing.T) {
	pack := func(text string) string {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(z.EncodeAll([]byte(text), nil))
	}
	rows, _, err := Read(t.Context(), []string{
		save(t, "a.jsonl.zst", pack(`{"prompt": "p", "completion": "c"}`+"\n")),
		save(t, "b.txt.ZST", pack("\ufefftext")),
		save(t, "c.jsonl.zst", pack(`{"text": "x"}`)+pack(`{"text": "y"}`)), // two frames
	}, ReadOptions{})
	if err != nil || len(rows) != 4 || rows[0].Answer != "c" || rows[1].Text != "text" || rows[3].Text != "y" {
		t.Errorf("%+v, error %v", rows, err)
	}
	whole := pack(`{"prompt": "p", "completion": "` + strings.Repeat("abc ", 1000) + `"}`)
	for packed, want := range map[string]string{
		`{"text": "x"}`: "want zstd, got", whole[:len(whole)/2]: "unexpected EOF",
		pack(strings.Repeat(" ", 64<<20)): "want text that unpacks to at most 200 times its size",
	} {
		path := save(t, "bad.jsonl.zst", packed)
		if _, _, err := Read(t.Context(), []string{path}, ReadOptions{}); err == nil ||
			!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: error %v, want %q", packed, err, want)
		}
		_ = os.Remove(path)
	}
}
