package compare

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tasks"
	"github.com/agora-ml/agora/tokenizer"
)

// material is what runs read and what they are measured on. It does not change, and all runs share it.
type material struct {
	tok   tokenizer.Tokenizer
	tasks []task
	// rows begins the endless sequence of a seed's training rows, of tasks by their numbers in turn.
	rows func(seed uint64, tasks []int) func() data.Sequence
	own  []int // numbers of tasks
}

// only is the material of one task; "": of all.
func (m *material) only(name string) *material {
	if name == "" {
		return m
	}
	one := *m
	i := slices.IndexFunc(m.tasks, func(t task) bool { return t.name == name })
	one.tasks, one.own = m.tasks[i:i+1], m.own[i:i+1]
	return &one
}

// add adds a task.
func (m *material) add(t task) {
	m.own = append(m.own, len(m.tasks))
	m.tasks = append(m.tasks, t)
}

// task is one of the tasks that are taught.
type task struct {
	name       string
	validation []data.Sequence // that rates are chosen by
	test       []data.Sequence // the loss of which is measured, of rows that are written
	written    []written       // the same ones
	known      eval.Task       // in their place: of a data set
}

// written is a test row that the model is to answer.
type written struct {
	prompt []int32
	want   string
	tokens int // of the answer, with its end
}

func ask(tok tokenizer.Tokenizer, prompt, answer string) written {
	return written{tokenizer.EncodeWithBOS(tok, prompt), answer, len(tok.Encode(answer)) + 1}
}

// generated makes the material of a family: of the tasks that its base learns, or of the new ones.
func generated(f synthetic.Family, list []synthetic.Task, validation, test int) (*material, error) {
	file, err := f.Tokenizer()
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.ParseJSON(file)
	if err != nil {
		return nil, err
	}
	most := f.Model().MaxPositions
	sequence := func(r synthetic.Row) data.Sequence {
		answer := append(tok.Encode(r.Completion), synthetic.EOS)
		return data.NewSequence(tokenizer.EncodeWithBOS(tok, r.Prompt), answer, most)
	}
	m := &material{tok: tok}
	for _, t := range list {
		own := task{name: t.Name}
		for _, r := range f.Held(t, synthetic.Validation, validation) {
			own.validation = append(own.validation, sequence(r))
		}
		for _, r := range f.Held(t, synthetic.Test, test) {
			own.test = append(own.test, sequence(r))
			own.written = append(own.written, ask(tok, r.Prompt, r.Completion))
		}
		m.add(own)
	}
	m.rows = func(seed uint64, tasks []int) func() data.Sequence {
		feed := f.Feed(pick(list, tasks), seed)
		return func() data.Sequence { return sequence(feed.Next()) }
	}
	return m, nil
}

// read makes the material of files.
func (e *Experiment) read(ctx context.Context) (*material, error) {
	if e.Base.Generated != "" {
		f, err := synthetic.Find(e.Base.Generated)
		if err != nil {
			return nil, err
		}
		return generated(f, f.New, e.Train.ValidationRows, e.Train.TestRows)
	}
	tok, err := tokenizer.Load(e.Base.Model)
	if err != nil {
		return nil, err
	}
	m := &material{tok: tok}
	var rows []data.Row
	for i, files := range e.Tasks {
		read, own, err := e.readTask(ctx, tok, files)
		if err != nil {
			return nil, fmt.Errorf("task %s: %w", files.Name, err)
		}
		for _, r := range read {
			r.Task = i
			rows = append(rows, r)
		}
		m.add(own)
	}
	all, _, err := data.Tokenize(ctx, tok, rows, data.TokenizeOptions{MaxTokens: e.Base.MaxTokens})
	if err != nil {
		return nil, err
	}
	learned, held := data.HoldOut(all, e.Train.ValidationRows)
	for _, s := range held {
		m.tasks[s.Task].validation = append(m.tasks[s.Task].validation, s)
	}
	byTask := make([][]data.Sequence, len(m.tasks))
	for _, s := range learned {
		byTask[s.Task] = append(byTask[s.Task], s)
	}
	for i, t := range m.tasks {
		if len(t.validation) == 0 || len(byTask[i]) == 0 {
			return nil, fmt.Errorf("task %s: want rows to train on beside %d for validation, got %d and %d",
				t.name, e.Train.ValidationRows, len(byTask[i]), len(t.validation))
		}
	}
	m.rows = func(seed uint64, tasks []int) func() data.Sequence { return inTurn(pick(byTask, tasks), seed) }
	return m, nil
}

// pick gives those of a list that stand at some places.
func pick[T any](list []T, places []int) (some []T) {
	for _, i := range places {
		some = append(some, list[i])
	}
	return some
}

// hasKnown reports whether a task is one that agora eval knows.
func (e *Experiment) hasKnown() bool {
	return slices.ContainsFunc(e.Tasks, func(t TaskFiles) bool { return t.Known != "" })
}

// taskNames are those of the tasks that are taught.
func (e *Experiment) taskNames() (names []string) {
	if f, err := synthetic.Find(e.Base.Generated); err == nil {
		for _, t := range f.New {
			names = append(names, t.Name)
		}
	}
	for _, t := range e.Tasks {
		names = append(names, t.Name)
	}
	return names
}

// readTask gives a task's training rows and what it is scored on.
func (e *Experiment) readTask(ctx context.Context, tok tokenizer.Tokenizer, files TaskFiles) ([]data.Row, task, error) {
	own := task{name: files.Name}
	if files.Known != "" {
		return e.readKnown(files, own)
	}
	learn, _, err := data.Read(ctx, []string{files.Train}, data.ReadOptions{Format: data.FormatCompletion})
	if err != nil {
		return nil, own, err
	}
	test, _, err := data.Read(ctx, []string{files.Test}, data.ReadOptions{Format: data.FormatCompletion})
	if err != nil {
		return nil, own, err
	}
	if n := e.Train.TestRows; n > 0 && n < len(test) {
		test = test[:n]
	}
	asked := map[string]data.Source{}
	for _, r := range learn {
		asked[r.Prompt] = r.Source
	}
	for _, r := range test {
		if source, ok := asked[r.Prompt]; ok {
			return nil, own, fmt.Errorf("%s asks what %s asks: want no test row that is learned", r.Source, source)
		}
	}
	if own.test, _, err = data.Tokenize(ctx, tok, test, data.TokenizeOptions{MaxTokens: e.Base.MaxTokens}); err != nil {
		return nil, own, err
	}
	for _, r := range test {
		own.written = append(own.written, ask(tok, r.Prompt, r.Answer))
	}
	return learn, own, nil
}

func (e *Experiment) readKnown(files TaskFiles, own task) ([]data.Row, task, error) {
	t, err := tasks.Find(files.Known)
	if err != nil {
		return nil, own, err
	}
	var examples [2][]tasks.Example
	for i, split := range []tasks.Split{tasks.Train, tasks.Test} {
		path, err := t.Locate(filepath.Clean(files.Data), split)
		if err != nil {
			return nil, own, err
		}
		if examples[i], err = t.Read(path, 0); err != nil {
			return nil, own, err
		}
	}
	own.known, err = eval.NewTask(files.Known, examples[1])
	return tasks.Rows(examples[0]), own, err
}

// inTurn draws from the tasks in turn, from each in epochs of a random order.
func inTurn(byTask [][]data.Sequence, seed uint64) func() data.Sequence {
	orders := make([][]int, len(byTask))
	epochs := make([]uint32, len(byTask))
	next := 0
	return func() data.Sequence {
		t := next % len(byTask)
		next++
		if len(orders[t]) == 0 {
			orders[t] = random.NewStream(seed, random.Order, epochs[t], uint32(t)).Perm(len(byTask[t]))
			epochs[t]++
		}
		i := orders[t][0]
		orders[t] = orders[t][1:]
		return byTask[t][i]
	}
}
