package tokenizer

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ranks is a file with all bytes and these tokens.
func ranks(tokens ...string) string {
	var s strings.Builder
	for i := range 256 + len(tokens) {
		token := string([]byte{byte(i)})
		if i >= 256 {
			token = tokens[i-256]
		}
		fmt.Fprintf(&s, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(token)), i)
	}
	return s.String()
}

func TestTiktoken(t *testing.T) {
	tok, err := parseTiktoken([]byte(ranks("ab", "bc", "abc", " a", "xyz")), nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"abcd": "abc|d", // ab of rank 256 first, then abc
		"bcab": "bc|ab",
		"xyz":  "xyz", // a whole word, though no merges lead to it
		"xyzz": "x|y|z|z",
		" a":   "Ġa",
		"1234": "1|2|3|4",
		"é":    "Ã|©",
	} {
		if got := pieces(tok, text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if got := tok.Decode(tok.Encode(text)); got != text {
			t.Errorf("%q: decoded %q", text, got)
		}
	}
	for name, want := range map[string]int32{"<|begin_of_text|>": 261, "<|end_of_text|>": 262, "<|eot_id|>": 270,
		"<|reserved_special_token_250|>": 516} {
		if id, ok := tok.Special(name); id != want || !ok || tok.Piece(id) != name {
			t.Errorf("%s: %d %v, want %d", name, id, ok, want)
		}
	}
	if n := tok.VocabSize(); n != 517 {
		t.Errorf("vocabulary of %d, want 517", n)
	}
	bos, _ := tok.BOS()
	eos, _ := tok.EOS()
	if bos != 261 || eos != 262 {
		t.Errorf("BOS %d, EOS %d", bos, eos)
	}
	if got := tok.Decode([]int32{bos, 'a', eos, 516}); got != "a" {
		t.Errorf("special tokens became %q", got)
	}
}

func TestTiktokenErrors(t *testing.T) {
	lines := strings.SplitAfter(ranks(), "\n")
	for _, c := range []struct{ name, file, want string }{
		{"cut", ranks()[:2000], "not a list of ranks: line 235: want base64"},
		{"cut in a line", ranks() + "YW", "not a list of ranks: line 257: want base64, a space and a rank below 16777216"},
		{"a byte missing", strings.Join(lines[:255], ""), "want all 256 bytes, got none for 0xff in 255 tokens"},
		{"out of order", lines[0] + lines[2], "line 2: want the ranks in order, here 1, got 2"},
		{"twice", ranks() + "YQ== 256\n", `line 257: want each token once, got "a" again`},
		{"huge rank", lines[0] + "YWI= 99999999999999999999\n", "line 2: want base64"},
		{"not base64", lines[0] + "!! 1\n", "line 2: want base64"},
		{"an empty line", ranks() + "\n\n", "line 257: want base64"},
	} {
		path := filepath.Join(t.TempDir(), ModelFile)
		if err := os.WriteFile(path, []byte(c.file), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got error %v, want it to name the file and %q", c.name, err, c.want)
		}
	}
}
