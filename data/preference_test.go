package data

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Rows of two answers, and of one with a label, in every form, as the model sees them: what counts, in
// brackets, is the answer alone, whatever was answered before.
func TestJudgedRows(t *testing.T) {
	const (
		user   = `{"role": "user", "content": "q"}`
		a      = `{"role": "assistant", "content": "a"}`
		b      = `{"role": "assistant", "content": "b"}`
		more   = `{"role": "user", "content": "r"}`
		prompt = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
		long   = prompt + "a<|im_end|>\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n"
	)
	pair := func(prompt, chosen, rejected string) []string {
		return []string{"chosen " + prompt + "[" + chosen + "]", "rejected " + prompt + "[" + rejected + "]"}
	}
	for row, want := range map[string][]string{
		`{"prompt": "p", "chosen": "good", "rejected": "bad"}`: pair("<s>p", "good</s>", "bad</s>"),
		`{"prompt": [` + user + `], "chosen": [` + a + `], "rejected": [` + b + `]}`: pair(prompt, "a<|im_end|>",
			"b<|im_end|>"),
		`{"prompt": [` + user + "," + a + "," + more + `], "chosen": [` + a + `], "rejected": [` + b + `]}`: pair(long,
			"a<|im_end|>", "b<|im_end|>"),
		`{"chosen": [` + user + "," + a + `], "rejected": [` + user + "," + b + `]}`: pair(prompt, "a<|im_end|>",
			"b<|im_end|>"),
		// A prompt and messages that say once more what is in them are passed over.
		`{"prompt": "r", "prompt_id": 7, "messages": [` + user + "," + a + "," + more + "," + a +
			`], "chosen": [` + user + "," + a + "," + more + "," + a +
			`], "rejected": [` + user + "," + a + "," + more + "," + b + `]}`: pair(long, "a<|im_end|>", "b<|im_end|>"),
		`{"chosen": "Q: x\nA: yes sir", "rejected": "Q: x\nA: yet no"}`:               pair("<s>Q: x\nA:", " yes sir</s>", " yet no</s>"),
		`{"prompt": "p", "chosen": "same", "rejected": "same"}`:                       nil,
		`{"chosen": [` + user + "," + a + `], "rejected": [` + user + "," + a + `]}`:  nil,
		`{"prompt": "p", "chosen": "good", "rejected": "bad", "weight": 0}`:           nil,
		`{"prompt": "p", "completion": "c", "label": true}`:                           {"chosen <s>p[c</s>]"},
		`{"prompt": "p", "completion": "c", "label": false}`:                          {"rejected <s>p[c</s>]"},
		`{"prompt": [` + user + `], "completion": [` + a + `], "label": false}`:       {"rejected " + prompt + "[a<|im_end|>]"},
		`{"messages": [` + user + "," + a + "," + more + "," + b + `], "label":true}`: {"chosen " + long + "[b<|im_end|>]"},
	} {
		tok, template := chatFolder(t, "")
		rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, ReadOptions{})
		if err != nil {
			t.Errorf("%s: %v", row, err)
			continue
		}
		seqs, counts, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 1000, Template: template})
		if err != nil {
			t.Errorf("%s: %v", row, err)
			continue
		}
		var got []string
		for _, s := range seqs {
			for s := &s; s != nil; s = s.Rejected {
				if s.Source.Row != 1 {
					t.Errorf("%s: source %v", row, s.Source)
				}
				got = append(got, s.Judgment.String()+" "+strings.TrimSuffix(marked(tok, *s), "\n"))
			}
		}
		if !slices.Equal(got, want) || counts.Dropped != 1-len(seqs) {
			t.Errorf("%s:\ngot  %q, %v\nwant %q", row, got, counts, want)
		}
	}
}

func TestJudgedRowsThatAreNone(t *testing.T) {
	const messages = `[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]`
	for row, want := range map[string]string{
		`{"chosen": "a", "rejected": "b"}`:                                                                                                       `want a string "prompt", or "chosen" and "rejected" that begin with the same words, got neither`,
		`{"prompt": "p", "chosen": "a", "rejected": ` + messages + `}`:                                                                           `got a text and a list`,
		`{"prompt": "p", "chosen": {"role": "assistant"}, "rejected": "b"}`:                                                                      `got an object and a text`,
		`{"chosen": "a", "rejected": "b", "prompt": "p", "score_chosen": 7}`:                                                                     `"score_chosen": want fields that a row of preference has (prompt, chosen, rejected, weight), got what would be lost`,
		`{"prompt": "other", "chosen": ` + messages + `, "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]}`: `"prompt": want a text that is said in the messages which chosen and rejected both begin with, got another`,
		`{"chosen": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "a"}], "rejected": ` + messages + `}`:                    `"chosen": want a prompt before the answer (with chosen and rejected messages that both begin with), got none`,
		`{"chosen": ` + messages + `, "rejected": [{"role": "user", "content": "q"}, {"role": "user", "content": "b"}]}`:                         `"rejected": want a last message of the assistant, got one of role "user"`,
		`{"chosen": [], "rejected": ` + messages + `}`:                                                                                           `want messages, got an empty list`,
		`{"prompt": "p", "completion": "c", "label": 1}`:                                                                                         `"label": want true or false, got 1`,
		`{"prompt": "p", "completion": ` + messages + `, "label": true}`:                                                                         `"prompt" and "completion" that are both texts, or both lists of messages, got a text and a list`,
		`{"messages": [{"role": "assistant", "content": "a"}], "label": true}`:                                                                   `"messages": want a prompt before the answer`,
		`{"prompt": "p", "chosen": "a", "rejected": "b", "messages": ` + messages + `}`:                                                          `"messages": want fields`,
	} {
		_, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "a.jsonl: row 1 (line 1)") {
			t.Errorf("%s:\ngot  %v\nwant %s", row, err, want)
		}
	}
}

// Both answers are cut as one row would be; of the prompt they lose the same.
func TestTruncatePair(t *testing.T) {
	row := Row{Prompt: "pqrs", Answer: "abc", Judgment: Chosen, Rejected: &Row{Prompt: "pqrs", Answer: "x"}}
	alike := Row{Prompt: "pqrs", Answer: "abc", Judgment: Chosen, Rejected: &Row{Prompt: "pqrs", Answer: "abd"}}
	for _, c := range []struct {
		row    Row
		policy Truncate
		max    int
		want   string
		cut    int // tokens
		answer int // of the chosen sequence, with the loss on all; 0: on answers
	}{
		{row, "", 8, "<pqrsabc/----abc> <pqrsx/----x>", 0, 0},
		{row, "", 6, "<pqrsa/----ab <pqrsx/----x>", 2, 0},
		{row, TruncateStart, 6, "<rsabc/--abc> <rsx/--x>", 4, 0},
		{row, TruncateDrop, 8, "<pqrsabc/----abc> <pqrsx/----x>", 0, 0},
		{row, TruncateDrop, 7, "", 0, 0},
		{row, TruncateEnd, 4, "", 0, 0},
		{alike, TruncateEnd, 6, "", 0, 0}, // what told them apart is gone
		{alike, TruncateEnd, 7, "<pqrsab/----abc <pqrsab/----abd", 2, 0},
		{row, "", 8, "<pqrsabc/pqrsabc> <pqrsx/----x>", 0, 4},
		{row, TruncateStart, 6, "<rsabc/rsabc> <rsx/--x>", 4, 2},
		{row, TruncateEnd, 4, "", 0, 4}, // the prompt alone is nothing to judge
		{alike, TruncateEnd, 6, "", 0, 4},
	} {
		seqs, counts, err := Tokenize(t.Context(), letters{}, []Row{c.row}, TokenizeOptions{MaxTokens: c.max,
			Truncate: c.policy, Loss: map[bool]Loss{true: LossAll}[c.answer > 0]})
		var both []Sequence
		tokens, counted := 0, 0
		for _, s := range seqs {
			both = append(both, s, *s.Rejected)
			if s.Answer != c.answer || s.Rejected.Answer != 0 {
				t.Errorf("%s at %d: answers begin at %d and %d", c.policy, c.max, s.Answer, s.Rejected.Answer)
			}
			tokens += s.Tokens()
			counted += s.Counted()
		}
		if got := spell(both); err != nil || got != c.want || counts.CutTokens != c.cut || counts.Tokens != tokens ||
			counts.Counted != counted {
			t.Errorf("%s at %d: got %q, %+v, %v; want %q, %d tokens cut", c.policy, c.max, got, counts, err, c.want, c.cut)
		}
	}
	_, _, err := Tokenize(t.Context(), letters{}, []Row{row}, TokenizeOptions{MaxTokens: 9, Truncate: TruncateSplit})
	if err == nil || !strings.Contains(err.Error(), "want truncate end, start or drop for answers that are judged") {
		t.Errorf("split: %v", err)
	}
}

func TestUnpair(t *testing.T) {
	plain := Row{Prompt: "p", Answer: "a", Judgment: Rejected}
	pair := Row{Prompt: "p", Answer: "b", Judgment: Chosen, Source: Source{"f", 3}, Task: 2,
		Rejected: &Row{Prompt: "p", Answer: "c", Judgment: Rejected}}
	want := []Row{plain, {Prompt: "p", Answer: "b", Judgment: Chosen, Source: Source{"f", 3}, Task: 2},
		{Prompt: "p", Answer: "c", Judgment: Rejected, Source: Source{"f", 3}, Task: 2}}
	if got := Unpair([]Row{plain, pair}); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// pairs are sequences of these lengths, chosen and rejected.
func pairs(lengths ...[2]int) (all []Sequence) {
	for i, n := range lengths {
		both := ofLengths(n[0], n[1])
		for j := range both {
			both[j].Source, both[j].Judgment = Source{"a", i + 1}, Judgment(1+j)
			for t := range both[j].IDs {
				both[j].IDs[t] = int32(10*i + j)
			}
		}
		both[0].Rejected = &both[1]
		all = append(all, both[0])
	}
	return all
}

// The answers of a pair stand behind each other in batches, in rows of their own or, packed, in one.
func TestPairsInBatches(t *testing.T) {
	b := Collate(pairs([2]int{2, 3}, [2]int{1, 1}))
	if want := []int32{0, 0, 0, 1, 1, 1, 10, 0, 0, 11, 0, 0}; b.Rows != 4 || !slices.Equal(b.IDs, want) {
		t.Errorf("%d rows of ids %v, want 4 of %v", b.Rows, b.IDs, want)
	}
	if want := [][]Judgment{{Chosen}, {Rejected}, {Chosen}, {Rejected}}; !reflect.DeepEqual(b.Judgments, want) {
		t.Errorf("judgments %v, want %v", b.Judgments, want)
	}
	all := pairs([2]int{2, 3}, [2]int{1, 1}, [2]int{4, 1}, [2]int{3, 2})
	for _, pack := range []int{0, 7} {
		o := LoaderOptions{Rows: 2, Pack: pack, Seed: 5}
		epoch, err := FirstEpoch(all, o)
		if err != nil || epoch.Tokens != 17 {
			t.Fatalf("packed to %d: %+v, %v", pack, epoch, err)
		}
		loader, err := NewLoader(all, o)
		if err != nil {
			t.Fatal(err)
		}
		defer loader.Close()
		seen := 0
		for seen < len(all) {
			b := loader.Next()
			var last []int // row of b and source of the chosen answer before
			for r, judgments := range b.Judgments {
				if n := b.Len(); pack > 0 && n != pack {
					t.Fatalf("a packed row of %d tokens, want %d", n, pack)
				}
				for s, j := range judgments {
					switch at := []int{r, b.Sources[r][s].Row}; {
					case j == Chosen && last == nil:
						last = at
						seen++
					case j == Rejected && last != nil && last[1] == at[1] && (pack == 0) == (last[0] != at[0]):
						last = nil
					default:
						t.Fatalf("packed to %d: judgments %v, sources %v", pack, b.Judgments, b.Sources)
					}
				}
			}
		}
	}
	if _, err := NewLoader(all, LoaderOptions{Rows: 2, Pack: 4}); err == nil ||
		!strings.Contains(err.Error(), "want at most the 4 tokens that a packed row holds, got 5") {
		t.Errorf("a pair that no row holds: %v", err)
	}
}

// What is held out of pairs is pairs, and those that differ in the worse answer alone are others.
func TestHoldOutOfPairs(t *testing.T) {
	all := pairs([2]int{2, 3}, [2]int{2, 3}, [2]int{2, 3})
	for i := range all {
		copy(all[i].IDs, []int32{5, 5})
		all[i].Rejected.IDs[0] = int32(i % 2)
	}
	copy(all[2].Rejected.IDs, all[0].Rejected.IDs)
	if _, n := Groups(all); n != 2 {
		t.Errorf("%d groups, want 2", n)
	}
	train, held := HoldOut(all, 1)
	if len(train) != 2 || len(held) != 1 || held[0].Rejected == nil || held[0].Source.Row != 2 {
		t.Errorf("%d to train on, held out %+v", len(train), held)
	}
}

// Answers that are judged may call tools, which stand in both prompts. What counts, in brackets, is the answer alone,
// the call included.
func TestJudgedCalls(t *testing.T) {
	const (
		tools  = `"tools": [{"name": "f"}]`
		user   = `{"role": "user", "content": "q"}`
		calls  = `{"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}`
		others = `{"role": "assistant", "content": "no"}`
		known  = "<|im_start|>system\n" + `{"name": "f"}` + "<|im_end|>\n"
		prompt = known + "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
		called = `nonef={"x": 1}<|im_end|>`
		more   = prompt + called + "\n<|im_start|>user\n[21]<|im_end|>\n<|im_start|>assistant\n"
		answer = `{"role": "tool", "content": "21"}`
	)
	for row, want := range map[string][]string{
		`{` + tools + `, "prompt": [` + user + `], "chosen": [` + calls + `], "rejected": [` + others + `]}`: {
			"chosen " + prompt + "⟦" + called + "⟧", "rejected " + prompt + "⟦no<|im_end|>⟧"},
		`{` + tools + `, "chosen": [` + user + "," + calls + "," + answer + "," + others + `], "rejected": [` + user + "," + calls +
			"," + answer + "," + calls + `]}`: {"chosen " + more + "⟦no<|im_end|>⟧", "rejected " + more + "⟦" + called + "⟧"},
		`{` + tools + `, "messages": [` + user + "," + calls + `], "label": false}`: {"rejected " + prompt + "⟦" + called + "⟧"},
		`{` + tools + `, "prompt": [` + user + `], "completion": [` + calls + `], "label": true}`: {
			"chosen " + prompt + "⟦" + called + "⟧"},
	} {
		tok, template := chatFolder(t, calling)
		rows, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, ReadOptions{})
		if err != nil {
			t.Errorf("%s: %v", row, err)
			continue
		}
		seqs, _, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 1000, Template: template})
		var got []string
		for _, s := range seqs {
			for s := &s; s != nil; s = s.Rejected {
				got = append(got, s.Judgment.String()+" "+strings.TrimSuffix(marked(tok, *s), "\n"))
			}
		}
		for i := range want {
			want[i] = strings.NewReplacer("⟦", "[", "⟧", "]").Replace(want[i])
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: error %v\ngot  %q\nwant %q", row, err, got, want)
		}
		if alone := Unpair(rows); len(alone) != len(want) || alone[len(alone)-1].Tools == "" {
			t.Errorf("%s: unpaired %+v", row, alone)
		}
	}
	row := `{` + tools + `, "prompt": "p", "chosen": "a", "rejected": "b"}`
	if _, _, err := Read(t.Context(), []string{save(t, "a.jsonl", row)}, ReadOptions{}); err == nil ||
		!strings.Contains(err.Error(), `"tools": want fields`) {
		t.Errorf("tools beside texts: error %v", err)
	}
}
