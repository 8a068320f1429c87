package tokenizer

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A vocabulary of each kind, the id that the next new token gets, and how "q" is encoded at
// the beginning of a text.
func addedKinds(t *testing.T) map[string]struct {
	name, file string
	next       int32
} {
	t.Helper()
	sp := llama("a", "q", "▁", "▁q")
	bare := change(t, "chars", nil)
	tok, err := ParseJSON(bare)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]struct {
		name, file string
		next       int32
	}{
		"SentencePiece":  {ModelFile, string(sp.bytes()), int32(len(sp.pieces))},
		"tokenizer.json": {JSONFile, string(bare), int32(tok.VocabSize())},
		"ranks":          {ModelFile, ranks(), 512},
	}
}

// ids writes NEXT+n for n = 0 to 3 in files as numbers.
func withIDs(next int32, text string) string {
	for n := range int32(4) {
		text = strings.ReplaceAll(text, "NEXT+"+string('0'+n), strconv.Itoa(int(next+n)))
	}
	return text
}

// Tokens of the files beside a vocabulary have the ids and the flags that the files say,
// whatever the vocabulary is and in whichever file they stand.
func TestAddedTokensBeside(t *testing.T) {
	const list = `{"<|im_start|>": NEXT+0, "<|im_end|>": NEXT+1}`
	const decoder = `"added_tokens_decoder": {"NEXT+0": {"content": "<|im_start|>", "special": true}, "NEXT+1": {"content": "<|im_end|>", "special": true}}`
	for name, c := range map[string]struct {
		files   map[string]string
		special bool
		eos     int32 // beyond next; -1: another
	}{
		"added_tokens.json, special by a name": {map[string]string{AddedTokensFile: list,
			ConfigFile: `{"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]}`}, true, 1},
		"added_tokens.json, special by another file": {map[string]string{AddedTokensFile: list,
			SpecialTokensFile: `{"additional_special_tokens": [{"content": "<|im_start|>"}, "<|im_end|>"]}`}, true, -1},
		"added_tokens.json, not special": {map[string]string{AddedTokensFile: list}, false, -1},
		"the decoder": {map[string]string{ConfigFile: `{"eos_token": "<|im_end|>", ` + decoder +
			`}`}, true, 1},
		"both": {map[string]string{AddedTokensFile: list,
			ConfigFile: `{"eos_token": {"content": "<|im_end|>"}, ` + decoder + `}`}, true, 1},
		"the decoder, not special": {map[string]string{ConfigFile: `{` +
			strings.ReplaceAll(decoder, `true`, `false, "normalized": false`) + `}`}, false, -1},
		"names alone":  {map[string]string{SpecialTokensFile: `{"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}`}, true, -1},
		"names, newer": {map[string]string{ConfigFile: `{"extra_special_tokens": {"start": "<|im_start|>", "end": "<|im_end|>"}}`}, true, -1},
	} {
		for kind, v := range addedKinds(t) {
			files := map[string]string{v.name: v.file}
			for file, content := range c.files {
				files[file] = withIDs(v.next, content)
			}
			tok := load(t, put(t, files)).(PartEncoder)
			what := name + ", " + kind
			if name == "added_tokens.json, not special" && kind == "tokenizer.json" {
				continue // is looked for behind the normalizer, which puts ▁ in front of it
			}
			if got := tok.VocabSize(); got != int(v.next)+2 {
				t.Errorf("%s: %d ids, want %d", what, got, v.next+2)
			}
			if got := tok.Piece(v.next) + tok.Piece(v.next+1); got != "<|im_start|><|im_end|>" {
				t.Errorf("%s: pieces %q", what, got)
			}
			id, special := tok.Special("<|im_end|>")
			if special != c.special || special && id != v.next+1 {
				t.Errorf("%s: special %v, id %d", what, special, id)
			}
			if eos, ok := tok.EOS(); c.eos >= 0 && (!ok || eos != v.next+c.eos) {
				t.Errorf("%s: EOS %d, %v", what, eos, ok)
			}
			parts := tok.EncodeParts(tok.SplitSpecial("<|im_start|>q<|im_end|>"))
			plain := tok.Encode("<|im_start|>q<|im_end|>")
			ends := func(ids []int32) bool { return ids[0] == v.next && ids[len(ids)-1] == v.next+1 }
			if !ends(parts) || ends(plain) == c.special { // no text becomes a special token
				t.Errorf("%s: parts %v, text %v", what, parts, plain)
			}
			if want := map[bool]string{true: "q", false: "<|im_start|>q<|im_end|>"}[c.special]; strings.ReplaceAll(tok.Decode(parts), " ", "") != want {
				t.Errorf("%s: decoded %q, want %q", what, tok.Decode(parts), want)
			}
			if got := tok.Decode(plain); got != "<|im_start|>q<|im_end|>" && c.special {
				t.Errorf("%s: decoded text %q", what, got)
			}
			checkIDs(t, tok, parts)
		}
	}
}

// Flags say which spaces belong to a token, and where it is one.
func TestAddedTokenFlags(t *testing.T) {
	for kind, v := range addedKinds(t) {
		if kind == "ranks" {
			continue // its letters are bytes
		}
		config := withIDs(v.next, `{"added_tokens_decoder": {
			"NEXT+0": {"content": "<l>", "lstrip": true, "normalized": false}, "NEXT+1": {"content": "<r>", "rstrip": true, "special": true}, "NEXT+2": {"content": "word", "single_word": true, "normalized": false}}}`)
		tok := load(t, put(t, map[string]string{v.name: v.file, ConfigFile: config})).(PartEncoder)
		for text, want := range map[string][]int32{
			"  <l>": {v.next}, "<l>": {v.next}, "<r>  ": {v.next + 1}, "<r><l>": {v.next + 1, v.next},
			"word": {v.next + 2},
		} {
			if got := tok.EncodeParts(tok.SplitSpecial(text)); !slices.Equal(got, want) {
				t.Errorf("%s: %q is %v, want %v", kind, text, got, want)
			}
		}
		for text, has := range map[string]bool{"a word a": true, "awords": false, "word!": true} {
			if got := slices.Contains(tok.Encode(text), v.next+2); got != has {
				t.Errorf("%s: %q has the token: %v, want %v", kind, text, got, has)
			}
		}
	}
}

// A piece that a file calls special is nothing that text becomes.
func TestAddedTokenInRange(t *testing.T) {
	sp := llama("a", "q", "aq")
	config := `{"added_tokens_decoder": {"0": {"content": "<unk>", "special": true}, "2": {"content": "</s>", "special": true}, "261": {"content": "aq", "special": true}}}`
	tok := load(t, put(t, map[string]string{ModelFile: string(sp.bytes()), ConfigFile: config})).(PartEncoder)
	if got, want := tok.Encode("aq"), []int32{229, 153, 132, 259, 260}; !slices.Equal(got, want) { // the space is bytes
		t.Errorf("got %v, want %v", got, want)
	}
	for name, want := range map[string]int32{"aq": 261, "<unk>": 0, "</s>": 2, "<s>": 1} {
		if id, ok := tok.Special(name); !ok || id != want {
			t.Errorf("%s: %d, %v; want %d", name, id, ok, want)
		}
	}
	if tok.VocabSize() != 262 {
		t.Errorf("%d ids", tok.VocabSize())
	}
}

// With legacy false only the first of several texts begins with a space.
func TestLegacySpaces(t *testing.T) {
	sp := string(llama("q", "▁", "▁q").bytes())
	for config, want := range map[string][]int32{
		`{}`:                          {261, 1, 261},
		`{"legacy": true}`:            {261, 1, 261},
		`{"legacy": false}`:           {261, 1, 259},
		`{"add_prefix_space": false}`: {259, 1, 259},
		`{"legacy": false, "add_prefix_space": false}`: {259, 1, 259},
	} {
		tok := load(t, put(t, map[string]string{ModelFile: sp, ConfigFile: config})).(PartEncoder)
		if got := tok.EncodeParts(tok.SplitSpecial("q<s>q")); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", config, got, want)
		}
	}
	tok := load(t, put(t, map[string]string{ModelFile: sp, ConfigFile: `{"legacy": false}`})).(PartEncoder)
	if got, want := tok.EncodeParts(tok.SplitSpecial("<s>q")), []int32{1, 259}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAddedTokenErrors(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"two files, one id": {map[string]string{AddedTokensFile: `{"<x>": NEXT+0}`,
			ConfigFile: `{"added_tokens_decoder": {"NEXT+0": {"content": "<y>"}}}`},
			[]string{AddedTokensFile, ConfigFile + `: added_tokens_decoder["NEXT+0"]`, `"<y>"`, `"<x>"`}},
		"a file that knows more": {map[string]string{AddedTokensFile: `{"<x>": NEXT+0, "<y>": NEXT+1}`,
			ConfigFile: `{"added_tokens_decoder": {"NEXT+0": {"content": "<x>"}}}`},
			[]string{AddedTokensFile, "want the tokens of added_tokens_decoder in", ConfigFile, `"<y>"`}},
		"one token, two ids": {map[string]string{ConfigFile: `{"added_tokens_decoder": {"NEXT+0": {"content": "<x>"}, "NEXT+1": {"content": "<x>"}}}`},
			[]string{"want each token once", `added_tokens_decoder["NEXT+0"]`, `added_tokens_decoder["NEXT+1"]`}},
		"two tokens, one id": {map[string]string{AddedTokensFile: `{"<x>": NEXT+0, "<y>": NEXT+0}`},
			[]string{AddedTokensFile, "want each id once, got NEXT+0"}},
		"another token's id": {map[string]string{AddedTokensFile: `{"<x>": 1}`},
			[]string{AddedTokensFile, "want id 1 for ", `got it for "<x>"`}},
		"a token with another id": {map[string]string{ConfigFile: `{"added_tokens_decoder": {"NEXT+0": {"content": "PIECE"}}}`},
			[]string{"want id 2 for \"PIECE\", got NEXT+0 in ", ConfigFile}},
		"a gap": {map[string]string{AddedTokensFile: `{"<x>": NEXT+2}`},
			[]string{"want id NEXT+0, the next that is free, for the added token \"<x>\", got NEXT+2 in ",
				AddedTokensFile}},
		"no id": {map[string]string{AddedTokensFile: `{"<x>": "3"}`},
			[]string{AddedTokensFile, `"<x>": want an id, got "3"`}},
		"null": {map[string]string{AddedTokensFile: `{"<x>": null}`},
			[]string{AddedTokensFile, `"<x>": want an id, got null`}},
		"a list": {map[string]string{AddedTokensFile: `["<x>"]`},
			[]string{AddedTokensFile, "want an object, got a list"}},
		"a name twice": {map[string]string{AddedTokensFile: `{"<x>": NEXT+0, "<x>": NEXT+1}`},
			[]string{AddedTokensFile, "want each name once, got it twice"}},
		"a key that is no id": {map[string]string{ConfigFile: `{"added_tokens_decoder": {"0NEXT+0": {"content": "<x>"}}}`}, []string{ConfigFile, `added_tokens_decoder["0NEXT+0"]: want an id`}},
		"no content":          {map[string]string{ConfigFile: `{"added_tokens_decoder": {"NEXT+0": {"Content": "<x>"}}}`}, []string{ConfigFile, "content: want text in UTF-8, got \"\""}},
		"flag of a wrong type": {map[string]string{ConfigFile: `{"added_tokens_decoder": {"NEXT+0": {"content": "<x>", "special": 1}}}`},
			[]string{ConfigFile, "field added_tokens_decoder[NEXT+0].special: want true or false, got the number 1"}},
	} {
		for kind, v := range addedKinds(t) {
			piece := map[string]string{"SentencePiece": "</s>", "tokenizer.json": "</s>", "ranks": "Ă"}[kind]
			fill := func(s string) string { return withIDs(v.next, strings.ReplaceAll(s, "PIECE", piece)) }
			files := map[string]string{v.name: v.file}
			for file, content := range c.files {
				files[file] = fill(content)
			}
			_, err := Load(put(t, files))
			for _, want := range c.want {
				if want = fill(want); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s: error %v\nwant %s", name, kind, err, want)
				}
			}
		}
	}
}
