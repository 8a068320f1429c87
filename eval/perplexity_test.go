package eval

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// letters is a tokenizer whose tokens are the letters a to z, 1 to 26.
type letters struct {
	tokenizer.Tokenizer
	bos bool
}

func (l letters) BOS() (int32, bool) { return 0, l.bos }

func (letters) VocabSize() int        { return 28 }
func (letters) Piece(id int32) string { return string('a' - 1 + id) }

func (l letters) Encode(text string) (ids []int32) {
	for _, r := range text {
		ids = append(ids, int32(r-'a')+1)
	}
	return ids
}

func open(t *testing.T) *tensor.Device { return testdevice.CPU(t, 0) }

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		bos    bool
		text   string
		window int
		want   [][]int32
	}{
		{true, "", 3, nil},
		{true, "a", 3, [][]int32{{0, 1}}},
		{true, "ab", 3, [][]int32{{0, 1, 2}}},
		{true, "abcde", 3, [][]int32{{0, 1, 2}, {0, 3, 4}, {0, 5}}},
		{true, "abc", 2, [][]int32{{0, 1}, {0, 2}, {0, 3}}},
		{false, "a", 3, nil},
		{false, "ab", 3, [][]int32{{1, 2}}},
		{false, "abc", 3, [][]int32{{1, 2, 3}}},
		{false, "abcdef", 3, [][]int32{{1, 2, 3}, {3, 4, 5}, {5, 6}}},
	} {
		got := split(letters{bos: c.bos}, letters{}.Encode(c.text), c.window)
		if !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("BOS %v, %q in windows of %d: %v, want %v", c.bos, c.text, c.window, got, c.want)
		}
	}
}

// The mean over windows is that of their tokens' own likelihoods, from the logits.
func TestMeasurePerplexity(t *testing.T) {
	d := open(t)
	c := llama.Config{
		ModelType: "llama", Vocab: 27, Hidden: 8, Intermediate: 12, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 4,
		MaxPositions: 6,
		NormEps:      1e-5, InitRange: 0.5, BOS: -1,
	}
	m, err := llama.New(d, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	const text = "thequickbrownfox"
	sum, n := 0.0, 0
	for _, ids := range split(letters{bos: true}, letters{}.Encode(text), 6) {
		logits, err := m.Logits(llama.Batch{Rows: 1, IDs: ids}).Tensor().Float64s()
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range ids[1:] {
			row, total := logits[i*c.Vocab:(i+1)*c.Vocab], 0.0
			for _, v := range row {
				total += math.Exp(v)
			}
			sum += math.Log(total) - row[id]
			n++
		}
	}
	if n != len(text) {
		t.Fatalf("%d tokens counted, want %d", n, len(text))
	}
	before, told := d.Stats().Live, 0
	got, err := MeasurePerplexity(context.Background(), m, letters{bos: true}, text,
		TextOptions{Progress: func(done, windows int) {
			if told++; done != told || windows != 4 {
				t.Errorf("told %d of %d windows", done, windows)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	want := sum / float64(n)
	if math.Abs(got.NLL-want) > 1e-5 || math.Abs(got.Perplexity-math.Exp(want)) > 1e-4*math.Exp(want) ||
		got.Counted != n || got.Windows != 4 || told != 4 {
		t.Errorf("got %+v, want nll %v over %d tokens in 4 windows", got, want, n)
	}
	if live := d.Stats().Live; live != before {
		t.Errorf("%d bytes leaked", live-before)
	}
	short, err := MeasurePerplexity(context.Background(), m, letters{bos: true}, text, TextOptions{Window: 3})
	if err != nil || short.Windows != 8 || short.NLL == got.NLL {
		t.Errorf("windows of 3 give %+v, %v", short, err)
	}

	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := MeasurePerplexity(canceled, m, letters{bos: true}, text, TextOptions{}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("canceled: error %v", err)
	}
	for want, run := range map[string]struct {
		text   string
		window int
	}{
		"no token to count":   {"", 0},
		"windows of 7 tokens": {text, 7},
		"windows of 1 tokens": {text, 1},
		`token "{" (id 27): want an id below the 27 of the model's vocabulary, got one of the tokenizer's 28`: {"a{",
			0},
		`eval: token "|" (id 28)`:          {"abcdef|", 0},
		`eval: line 3: want text in UTF-8`: {"a\n\ufffd\n\xff", 0},
		"to the model's 6 positi":          {text, -1},
	} {
		if _, err := MeasurePerplexity(context.Background(), m, letters{bos: true}, run.text,
			TextOptions{Window: run.window}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q in windows of %d: error %v, want one with %q", run.text, run.window, err, want)
		}
	}
}

// A trained model against another program's run of it.
func TestTrainedModel(t *testing.T) {
	data := realdata.Folder(t)
	dir := filepath.Join(data, "models", "stories260K-hf")
	content, err := os.ReadFile(filepath.Join(dir, "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		IDs     []int32
		MeanNLL float64 `json:"mean_nll"`
	}
	if err := json.Unmarshal(content, &ref); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.Load(t.Context(), open(t), dir, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := MeasurePerplexity(context.Background(), m, tok, tok.Decode(ref.IDs), TextOptions{})
	if err != nil || math.Abs(got.NLL-ref.MeanNLL) > 1e-5 || got.Counted != 199 || got.Windows != 1 {
		t.Errorf("%+v (%v), want nll %v over 199 tokens in one window", got, err, ref.MeanNLL)
	}
}
