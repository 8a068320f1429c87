package synthetic

import (
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/tokenizer"
)

func TestAnswers(t *testing.T) {
	for _, c := range []struct{ family, mark, question, want string }{
		{"ciphers", "KA", "abcdep", "abcdep"},
		{"ciphers", "RX", "abcdep", "afedcb"},
		{"ciphers", "TY", "abcdep", "bcdopa"},
		{"ciphers", "SC", "abcdep", "depabc"},
		{"ciphers", "NH", "abcdep", "badcpe"},
		{"ciphers", "LA", "abcdep", "pabcde"},
		{"sums", "A", "4031+3124", "4031"},
		{"sums", "P", "4031+3124", "3124"},
		{"sums", "Q", "4031+3124", "4134"},
		{"sums", "R", "4031+3124", "3021"},
		{"sums", "S", "4031+3124", "0142"},
		{"sums", "T", "4031+3124", "4230"},
	} {
		f := find(t, c.family)
		if got := f.Base[at(t, f.Base, c.mark)].Answer(c.question); got != c.want {
			t.Errorf("%s %s of %s: got %s, want %s", c.family, c.mark, c.question, got, c.want)
		}
	}
	f := find(t, "sums")
	for mark, want := range map[string]string{"A": "2100", "B": "0224", "C": "3343", "D": "1412"} {
		if got := f.New[at(t, f.New, mark)].Answer("4031+3124"); got != want {
			t.Errorf("sums %s: got %s, want %s", mark, got, want)
		}
	}
}

func find(t *testing.T, name string) Family {
	t.Helper()
	f, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func at(t *testing.T, tasks []Task, mark string) int {
	t.Helper()
	i := slices.IndexFunc(tasks, func(t Task) bool { return t.Mark == mark })
	if i < 0 {
		t.Fatalf("no task %s", mark)
	}
	return i
}

func TestCiphers(t *testing.T) {
	f := find(t, "ciphers")
	if len(f.Base) != 60 || len(f.New) != 16 {
		t.Fatalf("%d base tasks and %d new ones, want 60 and 16", len(f.Base), len(f.New))
	}
	known, seen := marks(f.Base), map[string]bool{}
	for _, n := range f.New {
		if _, ok := slices.BinarySearch(known, n.Mark); !ok {
			t.Errorf("%s: the mark %s is not one of the base's", n.Name, n.Mark)
		}
		cipher := ""
		fixed := 0
		for l := range byte(cipherLetters) {
			got := n.Answer(strings.Repeat(string('a'+l), 6))
			cipher += got[:1]
			if got != strings.Repeat(got[:1], 6) {
				t.Errorf("%s: the letter %c becomes %s by its place", n.Name, 'a'+l, got)
			}
			if got[0] == 'a'+l {
				fixed++
			}
		}
		letters := []byte(cipher)
		slices.Sort(letters)
		if string(letters) != "abcdefghijklmnop" || fixed != 1 || seen[cipher] {
			t.Errorf("%s: the cipher %s leaves %d letters, want a new permutation that leaves 1", n.Name, cipher, fixed)
		}
		seen[cipher] = true
	}
}

// Whoever does what the base has learned under the same mark must be right by chance alone, and
// where answers are full of one character, guessing that must not pay.
func TestBaseIsAtChance(t *testing.T) {
	for _, f := range Families() {
		for _, n := range f.New {
			base := f.Base[at(t, f.Base, n.Mark)]
			right, all := 0, 0
			often := map[byte]int{}
			for _, row := range f.Held(n, Test, 1000) {
				question := strings.TrimSuffix(strings.TrimPrefix(row.Prompt, n.Mark+" "), "=")
				known := base.Answer(question)
				for i := range row.Completion {
					all++
					often[row.Completion[i]]++
					if known[i] == row.Completion[i] {
						right++
					}
				}
			}
			share := float64(right) / float64(all)
			most := 0
			for _, k := range often {
				most = max(most, k)
			}
			// 4000 draws and more: four standard errors of a share of 0.1 are 0.019
			if share > f.Chance+0.02 || share < f.Chance-0.02 || float64(most)/float64(all) > f.Chance+0.02 {
				t.Errorf("%s, %s: the base is right in %.3f, the most frequent character is %.3f; chance is %.3f",
					f.Name, n.Name, share, float64(most)/float64(all), f.Chance)
			}
		}
	}
}

func question(r Row) string {
	_, q, _ := strings.Cut(strings.TrimSuffix(r.Prompt, "="), " ")
	return q
}

func TestSplitsAreDisjoint(t *testing.T) {
	for _, f := range Families() {
		split := map[string]Split{}
		note := func(r Row, s Split) {
			q := question(r)
			if other, ok := split[q]; ok && other != s {
				t.Errorf("%s: the question %s is in splits %d and %d", f.Name, q, other, s)
			}
			split[q] = s
		}
		for _, n := range f.New {
			for _, s := range []Split{Validation, Test} {
				rows := f.Held(n, s, 300)
				prompts := map[string]bool{}
				for _, r := range rows {
					note(r, s)
					prompts[r.Prompt] = true
				}
				if len(prompts) != 300 {
					t.Errorf("%s, %s: %d different rows, want 300", f.Name, n.Name, len(prompts))
				}
				if !slices.Equal(rows, f.Held(n, s, 300)) || !slices.Equal(rows[:10], f.Held(n, s, 10)) {
					t.Errorf("%s, %s: other rows when asked again", f.Name, n.Name)
				}
			}
		}
		for _, tasks := range [][]Task{f.Base, f.New} {
			feed := f.Feed(tasks, 7)
			for range 20000 {
				note(feed.Next(), Train)
			}
		}
	}
}

func TestFeed(t *testing.T) {
	for _, f := range Families() {
		a, again, other := f.Feed(f.New, 1), f.Feed(f.New, 1), f.Feed(f.New, 2)
		equal := 0
		for i := range 200 {
			row := a.Next()
			if got := again.Next(); got != row {
				t.Fatalf("%s: row %d of the same seed is %v and %v", f.Name, i, row, got)
			}
			if other.Next() == row {
				equal++
			}
			if mark, _, _ := strings.Cut(row.Prompt, " "); mark != f.New[i%len(f.New)].Mark {
				t.Errorf("%s: row %d is %v, want one of task %s", f.Name, i, row, f.New[i%len(f.New)].Name)
			}
		}
		if equal > 2 {
			t.Errorf("%s: %d of 200 rows are those of another seed", f.Name, equal)
		}
	}
}

func TestTokenizer(t *testing.T) {
	for _, f := range Families() {
		file, err := f.Tokenizer()
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.ParseJSON(file)
		if err != nil {
			t.Fatal(err)
		}
		config := f.Model()
		if tok.VocabSize() != config.Vocab {
			t.Errorf("%s: %d tokens, the model has %d", f.Name, tok.VocabSize(), config.Vocab)
		}
		row := f.Feed(f.Base, 1).Next()
		ids := tokenizer.EncodeWithBOS(tok, row.Prompt)
		if len(ids) != 1+len(row.Prompt) || ids[0] != BOS || tok.Decode(ids) != row.Prompt {
			t.Errorf("%s: %q became %v and %q", f.Name, row.Prompt, ids, tok.Decode(ids))
		}
		if n := len(row.Prompt) + len(row.Completion) + 2; n > config.MaxPositions {
			t.Errorf("%s: rows have %d tokens, the model %d places", f.Name, n, config.MaxPositions)
		}
		if got := tok.Encode("</s>a"); slices.Contains(got, EOS) {
			t.Errorf("%s: text became the token </s>: %v", f.Name, got)
		}
	}
}

func TestFindNamesFamilies(t *testing.T) {
	if _, err := Find("rhymes"); err == nil || err.Error() != "family \"rhymes\": want one of ciphers, sums" {
		t.Errorf("got %v", err)
	}
}

// marks are those of tasks.
func marks(tasks []Task) (all []string) {
	for _, t := range tasks {
		all = append(all, t.Mark)
	}
	slices.Sort(all)
	return all
}
