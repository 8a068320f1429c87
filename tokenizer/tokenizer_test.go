package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parse(t testing.TB, m modelFile) *SentencePiece {
	t.Helper()
	tok, err := parseSentencePiece(m.bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// pieces is the encoding of text, spelled out: "▁he|llo".
func pieces(tok Tokenizer, text string) string {
	var p []string
	for _, id := range tok.Encode(text) {
		p = append(p, tok.Piece(id))
	}
	return strings.Join(p, "|")
}

func TestEncodeDecode(t *testing.T) {
	words := []string{"ab", "bc", "▁a", "aa", "▁▁", "a", "b", "c", "▁", "<", "s", ">", "é"}
	ties := llama(words...)
	for i := range ties.pieces {
		ties.pieces[i].score = 0
	}
	user := llama(words...)
	user.pieces = append(user.pieces, piece{"<x>", 0, userDefined}, piece{"<x>a", 0, userDefined},
		piece{"c▁", 0, userDefined})
	splits := llama("ab", "abc", "bc", "a", "b", "c", "▁")
	splits.pieces[3+256+1].kind = unused
	plain := modelFile{pieces: append(basic(), piece{"a", -1, normal}, piece{"▁", -2, normal},
		piece{"▁a", 0, normal}), normalizer: "identity"}
	noDummy := llama(words...)
	noDummy.noDummy = true
	raw := llama(append(words, " ", "a ")...)
	raw.raw, raw.noDummy = true, true

	for _, c := range []struct {
		name   string
		model  modelFile
		text   string
		want   string
		decode string // if not text
	}{
		{"best score first", llama(words...), "abc", "▁|ab|c", ""},
		{"prefix joins", llama(words...), "aab", "▁a|ab", ""},
		{"ties go left", ties, "aaa", "▁a|aa", ""},
		{"spaces are kept", llama(words...), "  a  ", "▁▁|▁a|▁▁", ""},
		{"empty", llama(words...), "", "", ""},
		{"bytes", llama(words...), "aé✓", "▁a|é|<0xE2>|<0x9C>|<0x93>", ""},
		{"not UTF-8", llama(words...), "a\xff", "▁a|<0xEF>|<0xBF>|<0xBD>", "a\uFFFD"},
		{"control pieces are text", llama(words...), "<s>", "▁|<|s|>", ""},
		{"byte pieces are text", llama(words...), "<0x41>", "▁|<|<0x30>|<0x78>|<0x34>|<0x31>|>", ""},
		{"no dummy prefix", noDummy, "a a", "a|▁a", ""},
		{"longest user-defined", user, "b<x>ab", "▁|b|<x>a|b", ""},
		{"user-defined over a space", user, "abc a", "▁|ab|c▁|a", ""},
		{"unused is split again", splits, "abc", "▁|ab|c", ""},
		{"raw spaces", raw, "a a", "a |a", ""},
		{"unknown runs are one", plain, "aé✓a", "▁a|<unk>|a", "a \u2047 a"},
		{"unknown over words", plain, "é é", "▁|<unk>|▁|<unk>", " \u2047   \u2047 "},
		{"extra spaces go", plain, "  a   a ", "▁a|▁a", "a a"},
		{"only spaces", plain, "   ", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := parse(t, c.model)
			if got := pieces(tok, c.text); got != c.want {
				t.Errorf("encode %q: got %s, want %s", c.text, got, c.want)
			}
			want := c.decode
			if want == "" && c.name != "only spaces" {
				want = c.text
			}
			if got := tok.Decode(tok.Encode(c.text)); got != want {
				t.Errorf("decode: got %q, want %q", got, want)
			}
		})
	}
}

func TestDecodeIDs(t *testing.T) {
	tok := parse(t, llama("▁", "a", "▁a"))
	const space, a, spaceA = 259, 260, 261
	const b = 3 // of byte 0
	trimmed := llama("▁", "a", "▁a")
	trimmed.keepSpace = false
	for _, c := range []struct {
		name string
		tok  Tokenizer
		ids  []int32
		want string
	}{
		{"the first space goes", tok, []int32{spaceA, spaceA}, "a a"},
		{"also behind BOS", tok, []int32{1, spaceA, 2}, "a"},
		{"only one", tok, []int32{space, spaceA}, " a"},
		{"not behind a byte", tok, []int32{b + 'x', spaceA}, "x a"},
		{"all, where extra spaces are removed", parse(t, trimmed), []int32{space, spaceA, space}, "a "},
		{"a character from bytes", tok, []int32{b + 0xe2, b + 0x9c, b + 0x93}, "✓"},
		{"a cut character", tok, []int32{b + 0xe2, b + 0x9c, a, b + 0x93}, "\uFFFD\uFFFDa\uFFFD"},
		{"a control piece does not join bytes of two characters wrongly", tok, []int32{b + 0xe2, 1, b + 'a'},
			"\uFFFDa"},
		{"unknown and outside", tok, []int32{0, -1, 1 << 30}, " \u2047  \u2047  \u2047 "},
	} {
		if got := c.tok.Decode(c.ids); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDecoderNeverCutsACharacter(t *testing.T) {
	tok := parse(t, llama("▁", "a"))
	d := NewDecoder(tok)
	var got []string
	for _, id := range tok.Encode("a✓é") {
		got = append(got, d.Push(id))
	}
	got = append(got, d.Flush())
	if s := strings.Join(got, "|"); s != "|a|||✓||é|" {
		t.Errorf("got %s", s)
	}
	if got := d.Push(tok.Encode("✓")[1]) + d.Flush(); got != "\uFFFD" {
		t.Errorf("a cut character: got %q, want U+FFFD", got)
	}
	if got := d.Push(tok.Encode("a")[0]) + d.Push(tok.Encode("a")[1]); got != "a" {
		t.Errorf("after Flush: got %q, want a new text, a", got)
	}
}

func TestSpecialIDs(t *testing.T) {
	tok := parse(t, llama("a"))
	if id, ok := tok.BOS(); id != 1 || !ok {
		t.Errorf("BOS %d %v", id, ok)
	}
	if id, ok := tok.EOS(); id != 2 || !ok {
		t.Errorf("EOS %d %v", id, ok)
	}
	if n := tok.VocabSize(); n != 260 {
		t.Errorf("vocabulary of %d, want 260", n)
	}
	if got := EncodeWithBOS(tok, "a"); got[0] != 1 || len(got) != 5 {
		t.Errorf("with BOS: %v", got)
	}
	if got := tok.Piece(260) + tok.Piece(-1); got != "" {
		t.Errorf("pieces outside the vocabulary: %q", got)
	}
	bare := parse(t, modelFile{pieces: []piece{{"<unk>", 0, unknown}, {"<s>", 0, normal}, {"a", 0, normal}}})
	if _, ok := bare.BOS(); ok {
		t.Error("a normal piece was taken for BOS")
	}
	if got := EncodeWithBOS(bare, "a"); len(got) != 2 {
		t.Errorf("without BOS: %v", got)
	}
}

func TestLoadErrors(t *testing.T) {
	change := func(f func(*modelFile)) []byte {
		m := llama("a")
		f(&m)
		return m.bytes()
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "not a SentencePiece model: want pieces"},
		{"text", []byte("Once upon a time"), "not a SentencePiece model: byte 0"},
		{"cut", llama("a").bytes()[:100], "not a SentencePiece model"},
		{"unigram", change(func(m *modelFile) { m.modelType = 1 }), "want BPE, got unigram"},
		{"unheard of", change(func(m *modelFile) { m.modelType = 9 }), "want BPE, got 9"},
		{"normalizer", change(func(m *modelFile) { m.normalizer, m.charsmap = "nmt_nfkc", "abc" }),
			`want identity, got "nmt_nfkc"`},
		{"denormalizer", message(llama("a").bytes(), 5, message(nil, 2, "abc")), "denormalizer: want identity"},
		{"suffix", message(llama("a").bytes(), 2, number(nil, 24, 1)), "treat_whitespace_as_suffix"},
		{"bytes without fallback", change(func(m *modelFile) { m.byteFallback = false }), "byte_fallback false"},
		{"a byte missing", change(func(m *modelFile) { m.pieces = append(m.pieces[:3], m.pieces[4:]...) }),
			"want 256 byte pieces, got 255"},
		{"no byte", change(func(m *modelFile) { m.pieces[3].text = "<0xG0>" }), "<0xG0>"},
		{"no unknown", change(func(m *modelFile) { m.pieces = m.pieces[1:] }), "one unknown piece, got 0"},
		{"two unknown", change(func(m *modelFile) { m.pieces[1].kind = unknown }), "one unknown piece, got 2"},
		{"twice", change(func(m *modelFile) { m.pieces = append(m.pieces, m.pieces[259]) }),
			`piece 260: want each piece once, got "a"`},
		{"control twice", change(func(m *modelFile) { m.pieces = append(m.pieces, piece{"<s>", 0, normal}) }),
			`got "<s>"`},
		{"no text", change(func(m *modelFile) { m.pieces[259].text = "" }), "piece 259: want text"},
		{"not UTF-8", change(func(m *modelFile) { m.pieces[259].text = "\xff" }), "piece 259: want text in UTF-8"},
		{"NaN", change(func(m *modelFile) { m.pieces[259].score *= inf() }), "NaN"},
		{"type", change(func(m *modelFile) { m.pieces[259].kind = 7 }), "want a type from 1 to 6, got 7"},
		{"wire type of a piece", message(llama("a").bytes(), 1, number(nil, 1, 3)),
			"piece 260: field 1: want wire type 2, got 0"},
		{"group", []byte{1<<3 | 3}, "want wire type 0, 1, 2 or 5 in field 1, got 3"},
		{"long length", []byte{1<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
			"the end of the message"},
		{"long number", []byte{1 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, "field 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokenizer.model")
			if err := os.WriteFile(path, c.file, 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got error %v, want it to name the file and %q", err, c.want)
			}
		})
	}
}

// inf makes NaN of the score 0.
func inf() float32 { var zero float32; return 1 / zero }

func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(),
		"want tokenizer.json or tokenizer.model, got neither") {
		t.Errorf("empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ModelFile), llama("a").bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	tok, err := Load(dir)
	if err != nil || tok.VocabSize() != 260 {
		t.Errorf("got %v, error %v", tok, err)
	}
	if _, err := Load(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing path was taken")
	}
}
