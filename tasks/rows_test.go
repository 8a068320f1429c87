package tasks

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRows(t *testing.T) {
	for _, c := range []struct {
		task, name, text string
		prompt, answer   string
		gold             int
	}{
		{"boolq", "a.jsonl", `{"question":"is it","passage":"T -- P.","label":true}`,
			"T -- P.\nQuestion: is it?\nAnswer:", " yes", 1},
		{"boolq", "a.jsonl", "\n" + `{"question":"is it","title":"T","passage":"P.","answer":false}`,
			"T -- P.\nQuestion: is it?\nAnswer:", " no", 0},
		{"boolq", "a.jsonl", `{"question":"is it","title":"T","passage":"T -- P.","label":false}`,
			"T -- P.\nQuestion: is it?\nAnswer:", " no", 0},
		{"rte", "a.jsonl", `{"premise":"P.","hypothesis":"H.","label":"not_entailment","idx":0}`,
			"P.\nQuestion: H. True or False?\nAnswer:", " False", 1},
		{"wic", "a.jsonl", `{"word":"x","sentence1":"Ä Öl!","sentence2":"B","start1":2,"end1":4,"label":true}`, // code points, not bytes
			"Sentence 1: Ä Öl!\nSentence 2: B\nQuestion: Is the word 'Öl' used in the same way in the two sentences above?\nAnswer:", " yes", 1},
		{"multirc", "a.jsonl", `{"passage":{"text":"P","questions":[{"question":"Q?","idx":7,"answers":[{"text":"A","label":1,"idx":9}]}]}}`,
			"P\nQuestion: Q?\nAnswer:", " A\nIs the answer correct? yes", 0},
		{"mmlu", "high_school_x_test.csv", "\" Q\r\nR \",1,2,\"3,\"\"\",4,C\r\n",
			"The following are multiple choice questions (with answers) about high school x.\n\nQ\nR\nA. 1\nB. 2\nC. 3,\"\nD. 4\nAnswer:", " C", 2},
		{"gsm8k", "a.jsonl", `{"question":"Q","answer":"S\n#### 1,200"}`, "Question: Q\nAnswer:", " S\n#### 1,200", 0},
	} {
		task, err := Find(c.task)
		if err != nil {
			t.Fatal(err)
		}
		examples, err := task.Read(write(t, c.name, c.text), 0)
		if err != nil {
			t.Errorf("%s: %v", c.task, err)
			continue
		}
		e := examples[0]
		if len(examples) != 1 || e.Prompt != c.prompt || e.Answer != c.answer || e.Gold != c.gold {
			t.Errorf("%s: got %d %q, %q, %d", c.task, len(examples), e.Prompt, e.Answer, e.Gold)
		}
		if r := Rows(examples)[0]; r.Format != data.FormatCompletion || r.Prompt != c.prompt ||
			r.Answer != c.answer || r.Source != e.Source {
			t.Errorf("%s: as a row %+v", c.task, r)
		}
	}
}

func TestBadRows(t *testing.T) {
	for _, c := range []struct{ task, name, text, want string }{
		{"boolq", "a.jsonl", "{}\n", `a.jsonl:1: want a text "question", got none`},
		{"boolq", "a.jsonl", "\n" + `{"question":"q","passage":"p"}`,
			`a.jsonl:2: want a label (true or false), got none`},
		{"boolq", "a.jsonl", `{"question":"q","passage":"p","label":"yes"}`,
			`a.jsonl:1: field label: want true or false, got a string`},
		{"boolq", "a.jsonl", `{"question":"q","passage":"p","label":true,"answer":false}`,
			`want one label, got label true and answer false`},
		{"boolq", "a.jsonl", `{"question":"q","question":"r","passage":"p","label":true}`,
			`field question: want each name once, got it twice`},
		{"rte", "a.jsonl", `{"premise":"p","hypothesis":"h","label":"maybe"}`,
			`label: want entailment or not_entailment, got "maybe"`},
		{"wic", "a.jsonl", `{"sentence1":"ab","sentence2":"b","start1":0,"end1":3,"label":true}`,
			`want a word within the 2 code points of sentence1, got 0 to 3`},
		{"wic", "a.jsonl", `{"sentence1":"ab","sentence2":"b","label":true}`,
			`want start1, end1 and label, got not all of them`},
		{"multirc", "a.jsonl", `{"passage":{"text":"P","questions":[{"question":"Q","answers":[{"text":"A","label":2}]}]}}`, `passage.questions[0].answers[0]: want a text and a label of 0 or 1`},
		{"multirc", "a.jsonl", `{}`, `want a passage with a text, got none`},
		{"mmlu", "x_test.csv", "q,1,2,3,4,A\nq,1,2,3,A\n",
			`record 2 (line 2): want a question, four choices and a letter, got 5 fields`},
		{"mmlu", "x_test.csv", "q,1,2,3,4,E\n", `record 1 (line 1): want the letter of the right choice, A to D, got "E"`},
		{"mmlu", "x_test.csv", "\"q", `record 1 (line 1): extraneous or missing`},
		{"gsm8k", "a.jsonl", `{"question":"q","answer":"12"}`, `answer: want a last line "#### NUMBER", got none`},
		{"gsm8k", "a.jsonl", "", `want rows, got none`},
		{"gsm8k", "a.jsonl.gz", "plain", `want gzip`},
		{"gsm8k", "a.jsonl", `{"question":"q","answer":"#### 1"`, `a.jsonl:1: want JSON, got its end`},
	} {
		task, err := Find(c.task)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = task.Read(write(t, c.name, c.text), 0); err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.HasPrefix(err.Error(), "task "+c.task+": ") {
			t.Errorf("%s %q:\ngot  %v\nwant %s", c.task, c.text, err, c.want)
		}
	}
	if _, err := Find("mmmlu"); err == nil || !strings.Contains(err.Error(), `task "mmmlu": want one of mmlu, boolq`) {
		t.Errorf("got %v", err)
	}
}

func TestShots(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dev/x_dev.csv": "q1,a,b,c,d,B\nq2,a,b,c,d,A\n", "test/x_test.csv": "q3,a,b,c,d,D\n",
		"train.jsonl": `{"question":"t","answer":"s\n#### 2"}` + "\n",
		"test.jsonl":  `{"question":"q","answer":"#### 3"}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := mmlu.Read(filepath.Join(dir, "test"), 2)
	if err != nil {
		t.Fatal(err)
	}
	const choices = "\nA. a\nB. b\nC. c\nD. d\nAnswer:"
	if want := "The following are multiple choice questions (with answers) about x.\n\nq1" + choices + " B\n\nq2" +
		choices + " A\n\nq3" + choices; got[0].Prompt != want {
		t.Errorf("got %q", got[0].Prompt)
	}
	if _, err := mmlu.Read(filepath.Join(dir, "test"), 3); err == nil ||
		!strings.Contains(err.Error(), "want 3 solved examples, got 2") {
		t.Errorf("got %v", err)
	}
	if got, err = gsm8k.Read(filepath.Join(dir, "test.jsonl"), 1); err != nil {
		t.Fatal(err)
	}
	if want := "Question: t\nAnswer: s\n#### 2\n\nQuestion: q\nAnswer:"; got[0].Prompt != want || got[0].Number != "3" {
		t.Errorf("got %q", got[0].Prompt)
	}
	if _, err := rte.Read("a", 1); err == nil || !strings.Contains(err.Error(),
		"want 0 to 0 solved examples before a question, got 1") {
		t.Errorf("got %v", err)
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string][2]string{
		"so 3+4=<<3+4=7>>7\n#### 7": {"7", "7"}, "#### -1,234.50": {"-1234.50", "-1234.50"},
		"It costs $1,200.": {"", "1200"},
		"#### 5.":          {"5", "5"}, "none": {"", ""}, "first 8 then 9 of them": {"", "9"},
	} {
		first, _ := FinalNumber(text)
		last, _ := LastNumber(text)
		if first != want[0] || last != want[1] {
			t.Errorf("%q: got %q and %q, want %q", text, first, last, want)
		}
	}
}

// Bad rows are passed over and told of; the good ones are those of a file without them.
func TestReadSkipping(t *testing.T) {
	for name, c := range map[string]struct{ file, good, bad string }{
		"rte": {"rows.jsonl", `{"premise": "p", "hypothesis": "h", "label": "entailment"}`,
			`{"premise": "p", "hypothesis": "h", "label": "yes"}`},
		"mmlu": {"rows.csv", "q,a,b,c,d,B", "q,a,b,c,d,E"},
		"multirc": {"rows.jsonl", `{"passage": {"text": "t", "questions": [{"question": "q", "answers": [{"text": "a", "label": 1}]}]}}`,
			`{"passage": {"text": "t", "questions": [{"question": "q", "answers": [{"text": "a", "label": 1}, {"text": "a", "label": 2}]}]}}`},
		"gsm8k": {"rows.jsonl", `{"question": "q", "answer": "a\n#### 1"}`, `{"question": "q", "answer": "a"}`},
	} {
		task, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		path := write(t, c.file, c.good+"\n"+c.bad+"\n"+c.bad+"\n"+c.good+"\n")
		var bad []string
		got, err := task.ReadSkipping(path, 0, func(err error) { bad = append(bad, err.Error()) })
		if err != nil || len(got) != 2 || got[1].Source.Row != 4 || len(bad) != 2 {
			t.Errorf("%s: %d examples, bad %q, %v; want 2 and 2", name, len(got), bad, err)
			continue
		}
		if want := path; !strings.HasPrefix(bad[0], want) || !strings.Contains(bad[0], "2") {
			t.Errorf("%s: told %q, want file and row", name, bad[0])
		}
		if _, err := task.Read(path, 0); err == nil || !strings.Contains(err.Error(), bad[0]) {
			t.Errorf("%s: without skipping: %v", name, err)
		}
	}
}

// A file that unpacks to more than any data set is refused before it has taken the memory, also one of empty lines,
// and one of MMLU is not cut short.
func TestFilesAreBounded(t *testing.T) {
	defer func(was int) { maxFile = was }(maxFile)
	maxFile = 1 << 20
	path := filepath.Join(t.TempDir(), "train.jsonl.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(bytes.Repeat([]byte("\n"), maxFile+1)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"boolq", "gsm8k"} {
		task, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = task.Read(path, 0); err == nil || !strings.Contains(err.Error(), "want at most 1048576 bytes of text, unpacked") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}
