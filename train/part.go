package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/yamlfile"
	"github.com/agora-ml/agora/tasks"
)

// Part is rows to train on: one task of a mixture if it has a name, else files whose rows are
// one set with those of other parts. In a YAML file it is a path, or
// {name: …, task: …, path: …, weight: …, max-epochs: …}; so it is after --data.
type Part struct {
	Name      string   // in metrics, curves and reports; "": no task of a mixture
	Task      string   // the data set that the rows are of, by its name in package tasks; "": rows of Config.Format
	Paths     []string // files; of a Task, a file or folder of its rows, or the folder of all data sets
	Weight    float64  // of the task, where Config.Mixture is data.WeightExplicitly
	MaxEpochs float64  // see data.MixtureTask
}

// Files are parts of plain rows.
func Files(paths ...string) []Part {
	parts := make([]Part, len(paths))
	for i, path := range paths {
		parts[i].Paths = []string{path}
	}
	return parts
}

// paths are the files and folders of all parts.
func (c *Config) paths() (all []string) {
	for _, p := range c.Data {
		all = append(all, p.Paths...)
	}
	return all
}

// TaskMixture is how the tasks of the data are mixed; nil: they are one set of rows.
func (c *Config) TaskMixture() *data.Mixture {
	if len(c.Data) == 0 || c.Data[0].Name == "" {
		return nil
	}
	m := &data.Mixture{Weighting: data.Weighting(c.Mixture), Temperature: c.MixtureTemperature,
		Unit: data.Unit(c.MixtureUnit)}
	for _, p := range c.Data {
		m.Tasks = append(m.Tasks, data.MixtureTask{Name: p.Name, Weight: p.Weight, MaxEpochs: p.MaxEpochs})
	}
	return m
}

// checkParts returns an error for the first part that is invalid.
func (c *Config) checkParts() error {
	named := 0
	for _, p := range c.Data {
		if p.Name != "" {
			named++
		}
		if len(p.Paths) == 0 {
			return c.wrongf("data", "%s: want a path, got none", p.Name)
		}
		if p.Name == "" && (p.Task != "" || p.Weight != 0 || p.MaxEpochs != 0) {
			return c.wrongf("data", "%v: want a name beside task, weight or max-epochs, got none", p.Paths)
		}
		if p.Task != "" {
			if _, err := tasks.Find(p.Task); err != nil {
				return c.wrongf("data", "%s: %w", p.Name, err)
			}
		}
		if p.Weight != 0 && data.Weighting(c.Mixture) != data.WeightExplicitly {
			return c.wrongf("data", "%s: want a weight with mixture weights alone, got %v with mixture %s", p.Name,
				p.Weight,
				c.Mixture)
		}
	}
	if named != 0 && named != len(c.Data) {
		return c.wrongf("data", "want tasks with names, or files alone, got %d of one and %d of the other", named,
			len(c.Data)-named)
	}
	if m := c.TaskMixture(); m != nil {
		if err := m.Validate(); err != nil {
			return c.wrong("data", err)
		}
	}
	return nil
}

// Rows are the rows of a run's data.
type Rows struct {
	Rows     []data.Row   // each with the number of its task
	Fields   []data.Field // of rows that are of no task of package tasks, whose forms are known
	Bad      int          // passed over, with Config.SkipBad
	FirstBad error        // the first of them, with file, row and line
	// PassedOver are files, or folders, of other splits or configurations in the folders of the data.
	PassedOver []string

	heldOutSplit string // that was asked for
}

// PassedOverNote names what was passed over; "" where nothing was.
func (r Rows) PassedOverNote() string {
	const most = 8
	n := len(r.PassedOver)
	if n == 0 {
		return ""
	}
	note := "the split train is read; passed over, of other splits: " + strings.Join(r.PassedOver[:min(n, most)], ", ")
	if n > most {
		note += fmt.Sprintf(" and %d more", n-most)
	}
	if r.heldOutSplit == "" {
		note += " (held-out-split takes held-out rows of one)"
	}
	return note
}

// BadNote says how many rows were passed over; "" where none was.
func (r Rows) BadNote() string {
	switch r.Bad {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("1 bad row passed over: %v", r.FirstBad)
	}
	return fmt.Sprintf("%d bad rows passed over, the first: %v", r.Bad, r.FirstBad)
}

// ReadRows reads the rows of all parts.
func (c *Config) ReadRows(ctx context.Context) (Rows, error) {
	r := Rows{heldOutSplit: c.HeldOutSplit}
	o := data.ReadOptions{Format: data.Format(c.Format), Ignore: c.IgnoreFields, MaxBytes: c.MaxDataBytes,
		HeldOutSplit: c.HeldOutSplit}
	var err error
	if o.Fields, err = data.ParseFields(c.Fields); err != nil {
		return r, c.wrong("fields", err)
	}
	if c.SkipBad {
		o.Skip = func(err error) {
			if r.Bad++; r.FirstBad == nil {
				r.FirstBad = err
			}
		}
	}
	o.PassedOver = func(path string) { r.PassedOver = append(r.PassedOver, path) }
	if c.TaskMixture() == nil {
		if r.Rows, r.Fields, err = data.Read(ctx, c.paths(), o); err == nil {
			r.Rows, err = c.someJudged(r)
		}
		return r, err
	}
	for number, p := range c.Data {
		rows, fields, err := p.rows(ctx, o)
		if err != nil {
			return Rows{}, err
		}
		for i := range rows {
			rows[i].Task = number
		}
		r.Rows, r.Fields = append(r.Rows, rows...), append(r.Fields, fields...)
	}
	r.Rows, err = c.someJudged(r)
	return r, err
}

// someJudged makes of the rows what the objective learns from; that there are none is an error.
func (c *Config) someJudged(r Rows) ([]data.Row, error) {
	if len(r.Rows) == 0 && r.Bad == 0 {
		return nil, c.wrongf("data", "want rows, got none in %s", strings.Join(c.paths(), ", "))
	}
	return c.Objective.judged(r.Rows)
}

// checkFields returns an error for a name that no form of rows has.
func (c *Config) checkFields() error {
	_, err := data.ParseFields(c.Fields)
	return err
}

// rows reads the rows of a named part.
func (p Part) rows(ctx context.Context, o data.ReadOptions) (rows []data.Row, fields []data.Field, err error) {
	if p.Task == "" {
		return data.Read(ctx, p.Paths, o)
	}
	task, err := tasks.Find(p.Task)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range p.Paths {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if path, err = p.locate(path); err != nil {
			return nil, nil, err
		}
		examples, err := task.ReadSkipping(path, 0, o.Skip)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, tasks.Rows(examples)...)
	}
	return rows, nil, nil
}

// locate finds the training rows of a data set below the folder of all of them.
func (p Part) locate(path string) (string, error) {
	task, err := tasks.Find(p.Task)
	if err != nil || !isFolder(filepath.Join(path, task.Name)) {
		return path, err
	}
	return task.Locate(path, tasks.Train)
}

// files are the files that the part's rows come from, with those of the split to hold out.
func (p Part) files(heldOutSplit string) (all []string, err error) {
	if p.Task == "" {
		for _, path := range p.Paths {
			files, heldOut, err := data.SplitFiles(path, heldOutSplit)
			if err != nil {
				return nil, err
			}
			all = append(append(all, files...), heldOut...)
		}
		return all, nil
	}
	for _, path := range p.Paths {
		if path, err = p.locate(path); err != nil {
			return nil, err
		}
		files, err := filesIn(path)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

// filesIn are the files of a folder in the order of their names, or the one file that path is.
func filesIn(path string) (all []string, err error) {
	if !isFolder(path) {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if file := filepath.Join(path, e.Name()); regular.Exists(file) {
			all = append(all, file)
		}
	}
	return all, nil
}

// String is the part as parsePart takes it.
func (p Part) String() string {
	if p.Name == "" && len(p.Paths) == 1 && !strings.HasPrefix(p.Paths[0], "{") {
		return p.Paths[0]
	}
	text, err := p.yaml()
	if err != nil {
		return err.Error()
	}
	return text
}

// yaml is the part on one line of YAML.
func (p Part) yaml() (string, error) {
	if p.Name == "" && len(p.Paths) == 1 {
		return quote(p.Paths[0])
	}
	var fields []string
	add := func(name, value string) { fields = append(fields, name+": "+value) }
	for _, f := range []struct{ name, value string }{{"name", p.Name}, {"task", p.Task}} {
		if f.value == "" {
			continue
		}
		text, err := quote(f.value)
		if err != nil {
			return "", err
		}
		add(f.name, text)
	}
	paths := make([]string, len(p.Paths))
	for i, path := range p.Paths {
		var err error
		if paths[i], err = quote(path); err != nil {
			return "", err
		}
	}
	add("path", "["+strings.Join(paths, ", ")+"]")
	if p.Weight != 0 {
		add("weight", strconv.FormatFloat(p.Weight, 'g', -1, 64))
	}
	if p.MaxEpochs != 0 {
		add("max-epochs", strconv.FormatFloat(p.MaxEpochs, 'g', -1, 64))
	}
	return "{" + strings.Join(fields, ", ") + "}", nil
}

// parsePart reads what follows --data: a path, or a task in braces.
func parsePart(text string) (Part, error) {
	if !strings.HasPrefix(text, "{") {
		return Part{Paths: []string{text}}, nil
	}
	tokens, err := yamlfile.Tokens([]byte(text))
	if err != nil {
		return Part{}, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return Part{}, yamlError(err)
	}
	if len(file.Docs) != 1 {
		return Part{}, fmt.Errorf("want one task in braces, got %d", len(file.Docs))
	}
	return nodePart(file.Docs[0].Body)
}

// partFields are the keys of a part.
var partFields = []string{"name", "task", "path", "weight", "max-epochs"}

// nodePart reads a part of a YAML file: a path, or a mapping. A task without a name has that of
// its data set, or of its first file.
func nodePart(node ast.Node) (p Part, err error) {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		path, err := scalar(node)
		return Part{Paths: []string{path}}, err
	}
	pairs, err := mapping(node)
	if err != nil {
		return p, err
	}
	seen := map[string]bool{}
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		if seen[name] {
			return p, fmt.Errorf("%s: want it once, got it again", shortened(name))
		}
		seen[name] = true
		if err := p.set(name, pair.Value); err != nil {
			return p, err
		}
	}
	if len(p.Paths) == 0 {
		return p, fmt.Errorf("want a path, got none")
	}
	if p.Name == "" && p.Task != "" {
		p.Name = p.Task
	}
	if p.Name == "" {
		p.Name, _, _ = strings.Cut(filepath.Base(p.Paths[0]), ".")
	}
	return p, nil
}

// set sets one field of a mapping.
func (p *Part) set(name string, value ast.Node) (err error) {
	if items, ok := value.(*ast.SequenceNode); ok && name == "path" {
		for _, item := range items.Values {
			path, err := scalar(item)
			if err != nil {
				return fmt.Errorf("path: %w", err)
			}
			p.Paths = append(p.Paths, path)
		}
		return nil
	}
	if !slices.Contains(partFields, name) {
		return fmt.Errorf("unknown field %q: want %s", shortened(name), alternatives(partFields))
	}
	text, err := scalar(value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch name {
	case "name":
		p.Name = text
	case "task":
		p.Task = text
	case "path":
		p.Paths = []string{text}
	case "weight":
		p.Weight, err = strconv.ParseFloat(text, 64)
	case "max-epochs":
		p.MaxEpochs, err = strconv.ParseFloat(text, 64)
	}
	if err != nil {
		return fmt.Errorf("%s: want a number, got %q", name, text)
	}
	return nil
}

// describeMixture says in a line what the mixture of a resumed run must still be: names and data sets,
// how they are weighted, and how often each is drawn.
func describeMixture(c *Config) string {
	m := c.TaskMixture()
	if m == nil {
		return ""
	}
	text := fmt.Sprintf("%s of %s", m.Weighting, m.Unit)
	if m.Weighting == data.WeightByTemperature {
		text = fmt.Sprintf("%s, temperature %v", text, m.Temperature)
	}
	for i, t := range m.Tasks {
		text = fmt.Sprintf("%s; %s (%s, weight %v, max-epochs %v)", text, t.Name, c.Data[i].Task, t.Weight, t.MaxEpochs)
	}
	return text
}

// checkMixture tells of the mixture, compares it with that of the checkpoint, if there is one, and
// refuses more steps than it has rows for.
func (r *run) checkMixture() error {
	m := r.cfg.TaskMixture()
	text := describeMixture(&r.cfg)
	if old := r.state.Mixture; r.judge != nil && old != text {
		err := r.cfg.wrongf("data", "want the mixture that the run began with, %q, got %q", old, text)
		if err := r.judge.differs(err, "mixture", old, text); err != nil {
			return err
		}
	}
	if r.state.Mixture = text; m == nil {
		return nil
	}
	shares, err := m.Shares(r.seqs)
	if err != nil {
		return err
	}
	sizes := make([]int, len(m.Tasks))
	for _, s := range r.seqs {
		sizes[s.Task]++
	}
	for i, t := range m.Tasks {
		r.progress.Say(fmt.Sprintf("task %s: %d sequences, drawn for %.1f %% of the rows", t.Name, sizes[i], 100*shares[i]))
	}
	draws, err := m.Draws(r.seqs)
	if err != nil {
		return err
	}
	if rows := r.cfg.Steps * r.cfg.Accumulate * r.cfg.BatchRows; draws > 0 && r.loading.Pack == 0 && rows > draws {
		return r.cfg.wrongf("steps",
			"want at most the %d rows that max-epochs leaves to all tasks together, got %d steps of %d rows", draws, r.cfg.Steps, r.cfg.Accumulate*r.cfg.BatchRows)
	}
	return nil
}
