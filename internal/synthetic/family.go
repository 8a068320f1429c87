// Package synthetic generates tasks that need nothing on disk: a model learns the base tasks of a
// family from scratch, and adapters then teach it the new ones, all at once. Each row is a
// question and the one right answer to it, so that a comparison of methods can be repeated anywhere.
//
// Questions are divided into training, validation and test questions by their letters alone,
// whatever the seed and the task: what is scored was read by no run, not even in another task.
//
//	family, err := synthetic.Find("ciphers")
//	feed := family.Feed(family.New, seed)
//	row := feed.Next() // of the training questions
//	test := family.Held(family.New[0], synthetic.Test, 128)
package synthetic

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
)

// Family is a set of tasks on questions of one kind.
type Family struct {
	Name  string
	About string // in a line
	Base  []Task // what a model learns from scratch
	New   []Task // what adapters teach it
	// Chance is the share of an answer's characters that are right where they are drawn at random.
	Chance float64

	alphabet string // of questions and answers
	question func(r *random.Stream) string
}

// Task is one of a family.
type Task struct {
	Name   string
	Mark   string                       // begins each of its prompts
	Answer func(question string) string // as long for every question
}

// Row is a row of data: the model is to write Completion after Prompt.
type Row struct {
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
}

// Families lists all families.
func Families() []Family { return []Family{ciphers(), sums()} }

// Find gives a family by its name.
func Find(name string) (Family, error) {
	var names []string
	for _, f := range Families() {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Family{}, fmt.Errorf("family %.40q: want one of %s", name, strings.Join(names, ", "))
}

// Split is what questions are for.
type Split int

// The splits: of sixteen questions one is for validation, one for tests.
const (
	Train Split = iota
	Validation
	Test
)

// splitOf divides questions by a digest of their letters.
func splitOf(question string) Split {
	switch sha256.Sum256([]byte(question))[0] % 16 {
	case 0:
		return Validation
	case 1:
		return Test
	}
	return Train
}

// row asks the next question of a split that the stream draws.
func (f Family) row(t Task, s Split, r *random.Stream) Row {
	for {
		if q := f.question(r); splitOf(q) == s {
			return Row{t.Mark + " " + q + "=", t.Answer(q)}
		}
	}
}

// Held gives n different rows of a task for validation or tests, the same ones whenever asked.
func (f Family) Held(t Task, s Split, n int) []Row {
	id := fnv.New32a()
	id.Write([]byte(f.Name + "\x00" + t.Mark))
	r := random.NewStream(0, random.Generated, uint32(s), id.Sum32())
	seen := map[string]bool{}
	rows := make([]Row, 0, n)
	for len(rows) < n {
		if row := f.row(t, s, r); !seen[row.Prompt] {
			seen[row.Prompt] = true
			rows = append(rows, row)
		}
	}
	return rows
}

// Feed is an endless sequence of training rows, the tasks in turn.
type Feed struct {
	family Family
	tasks  []Task
	stream *random.Stream
	next   int
}

// Feed begins the rows of a seed.
func (f Family) Feed(tasks []Task, seed uint64) *Feed {
	return &Feed{family: f, tasks: tasks, stream: random.NewStream(seed, random.Generated, uint32(Train), 0)}
}

// Next gives the next row.
func (f *Feed) Next() Row {
	t := f.tasks[f.next%len(f.tasks)]
	f.next++
	return f.family.row(t, Train, f.stream)
}

// Model is the shape of the model that learns a family: 3 layers, 64 wide, 139,328 parameters.
func (f Family) Model() llama.Config {
	return llama.Config{
		ModelType: "llama", Vocab: len(f.characters()) + 2, Hidden: 64, Intermediate: 172, Layers: 3,
		Heads: 4, KVHeads: 2, HeadDim: 16, MaxPositions: 32, NormEps: 1e-5, InitRange: 0.1, Tied: true,
		RoPE: ops.RoPEScaling{Theta: 10000}, BOS: BOS, EOS: []int32{EOS},
	}
}

// characters are all that a family's rows are written in: capital letters are marks.
func (f Family) characters() string { return " =" + f.alphabet + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" }

// Tokenizer is the content of a tokenizer.json in which each character is a token.
func (f Family) Tokenizer() ([]byte, error) { return TokenizerJSON(f.characters()) }
