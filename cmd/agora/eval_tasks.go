package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/tasks"
	"github.com/agora-ml/agora/tokenizer"
)

// baseAlone is the name under which --adapters means the model without an adapter.
const baseAlone = "base"

// taskFlags are the flags of eval that data sets need.
type taskFlags struct {
	tasks    []string
	data     []string
	adapters []string
	shots    int
	limit    int
	batch    int
	examples string
	resume   bool
}

func (f *taskFlags) registerTasks(c *cobra.Command) {
	fl := c.Flags()
	fl.StringSliceVar(&f.tasks, "tasks", nil, "what to measure: "+strings.Join(tasks.Names(), ", ")+
		", all of these, or perplexity")
	fl.StringSliceVar(&f.data, "task-data", nil, "folder that holds a folder of each task's name, or NAME=PATH of a "+
		"task's file or folder")
	fl.StringSliceVar(&f.adapters, "adapters", nil,
		"several adapters to measure one after the other on one base; "+baseAlone+" means the model alone")
	fl.IntVar(&f.shots, "shots", 0, "solved examples before a question, for tasks that have them: mmlu (5 at most), "+
		"gsm8k (8)")
	fl.IntVar(&f.limit, "limit", 0, "examples of a task at most, of mmlu in each subject, the first ones; 0: all")
	fl.IntVar(&f.batch, "batch-tokens", 4096, "tokens that are computed at once")
	fl.StringVar(&f.examples, "examples", "", "file for a line of JSON an example: likelihoods, prediction, what "+
		"was written")
	fl.BoolVar(&f.resume, "resume", false, "go on with the --examples of an interrupted run")
}

// given reports whether data sets are to be measured.
func (f *taskFlags) namesTasks() bool {
	return len(f.tasks) > 0 && !slices.Equal(f.tasks, []string{"perplexity"})
}

func (f *taskFlags) checkTasks() error {
	for i, name := range f.tasks {
		_, err := tasks.Find(name)
		switch {
		case slices.Contains(f.tasks[:i], name):
			return fmt.Errorf("--tasks: want each task once, got %s again", name)
		case err == nil || name == "all" && len(f.tasks) == 1:
		case name == "perplexity" || name == "all":
			return fmt.Errorf("--tasks: want %s alone, got others with it", name)
		default:
			return fmt.Errorf("--tasks: %w, all or perplexity", err)
		}
	}
	switch {
	case f.resume && f.examples == "":
		return errors.New("--resume: want the --examples to go on with, got none")
	case len(f.data) == 0:
		return errors.New("--task-data is missing")
	}
	return nil
}

// open reads the examples of all tasks.
func (f *taskFlags) readTasks() (list []eval.Task, sources []string, err error) {
	root, paths := "", map[string]string{}
	for _, d := range f.data {
		name, path, named := strings.Cut(d, "=")
		if !named {
			root = d
			continue
		}
		if _, err := tasks.Find(name); err != nil {
			return nil, nil, fmt.Errorf("--task-data %s: %w", d, err)
		}
		paths[name] = path
	}
	names := f.tasks
	if slices.Equal(names, []string{"all"}) {
		names = tasks.Names()
	}
	for _, name := range names {
		t, err := tasks.Find(name)
		if err != nil {
			return nil, nil, err
		}
		path := paths[name]
		if path == "" {
			if root == "" {
				return nil, nil, fmt.Errorf("--task-data: want a folder, or %s=PATH, for the task %s, got neither",
					name, name)
			}
			if path, err = t.Locate(root, tasks.Test); err != nil {
				return nil, nil, fmt.Errorf("--task-data: %w", err)
			}
		}
		shots := f.shots
		if len(names) > 1 {
			shots = min(shots, t.MaxShots())
		}
		examples, err := t.Read(path, shots)
		if err != nil {
			return nil, nil, err
		}
		task, err := eval.NewTask(name, examples)
		if err != nil {
			return nil, nil, err
		}
		list, sources = append(list, task), append(sources, path)
	}
	return list, sources, nil
}

// measured is what eval --tasks prints of one adapter.
type measured struct {
	Adapter string `json:"adapter,omitempty"`
	// MatmulPrecision is how the device computed products of f32.
	MatmulPrecision cpu.Precision `json:"matmul_precision"`
	Tasks           []eval.Report `json:"tasks"`
}

// runTasks measures every adapter on every task.
func (f *evalFlags) runTasks(c *cobra.Command) error {
	if err := errors.Join(need("model", f.model), f.checkTasks()); err != nil {
		return err
	}
	if f.adapter.given() && len(f.adapters) > 0 {
		return errors.New("want --adapter or --adapters, got both")
	}
	list, sources, err := f.readTasks()
	if err != nil {
		return err
	}
	tok, err := f.loadTokenizer()
	if err != nil {
		return err
	}
	if _, _, err := embeddings(c.ErrOrStderr(), f.model, tok); err != nil {
		return err
	}
	notes, err := openExamples(f, sources)
	if err != nil {
		return err
	}
	defer notes.close()
	b, err := f.open(c)
	if err != nil {
		return err
	}
	defer b.close()
	set := multilora.NewSet(b.Model)
	for _, path := range f.adapters {
		if path != baseAlone {
			if err := set.Load(path, path, f.adapter.options()); err != nil {
				return err
			}
			noteMatch(c, set.Adapter(path))
		}
	}
	words, err := f.tokenizers(tok)
	if err != nil {
		return err
	}
	who := f.adapters
	if len(who) == 0 {
		who = []string{f.adapter.path}
	}
	var all []measured
	for _, adapter := range who {
		if len(f.adapters) > 0 {
			if err := set.Use(strings.TrimSuffix(adapter, baseAlone)); err != nil {
				return err
			}
		}
		m := measured{Adapter: adapter, MatmulPrecision: device.MatmulPrecision(b.Model.Device())}
		for _, task := range list {
			o := eval.Options{
				Limit: f.limit, BatchTokens: f.batch,
				Done:     func(task, id string) (eval.Result, bool) { return notes.find(adapter, task, id) },
				Record:   func(r eval.Result) error { return notes.add(adapter, r) },
				Progress: everyFewSeconds(c.ErrOrStderr(), task.Name()),
			}
			report, err := task.Run(c.Context(), eval.Subject{Model: b.Model, Tokenizer: words(adapter)}, o)
			if err != nil {
				if errors.Is(err, context.Canceled) && f.examples != "" {
					fmt.Fprintf(c.ErrOrStderr(), "interrupted; the same command with --resume goes on with %s\n",
						f.examples)
				}
				return errors.Join(err, notes.close())
			}
			m.Tasks = append(m.Tasks, report)
		}
		all = append(all, m)
	}
	if err := notes.close(); err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(c.OutOrStdout(), all)
	}
	return printMeasured(c.OutOrStdout(), all)
}

// tokenizers gives the tokenizer by the name of an adapter: the model's, tok, ended by the token that the adapter was trained to
// end answers with.
func (f *evalFlags) tokenizers(tok tokenizer.Tokenizer) (of func(adapter string) tokenizer.Tokenizer, err error) {
	own := map[string]tokenizer.Tokenizer{}
	for _, path := range f.adapters {
		its := f.modelFlags
		its.adapter.path = path
		if token, _ := its.adapter.eosToken(); token == "" || path == baseAlone {
			continue
		}
		if own[path], err = its.loadTokenizer(); err != nil {
			return nil, err
		}
	}
	return func(adapter string) tokenizer.Tokenizer {
		if t := own[adapter]; t != nil {
			return t
		}
		return tok
	}, nil
}

// everyFewSeconds says how far a task is.
func everyFewSeconds(w io.Writer, name string) func(done, all int) {
	start, shown := time.Now(), time.Now()
	first := -1
	return func(done, all int) {
		if first < 0 {
			first = done
		}
		if time.Since(shown) < 5*time.Second {
			return
		}
		shown = time.Now()
		left := "?"
		if n := done - first; n > 0 {
			left = (time.Since(start) / time.Duration(n) * time.Duration(all-done)).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s: %d/%d examples, %s left\n", name, done, all, left)
	}
}

func printMeasured(w io.Writer, all []measured) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "adapter\ttask\tscore\tvalue\t± standard error\tof\t\n")
	for _, m := range all {
		name := filepath.Base(m.Adapter)
		if m.Adapter == "" || m.Adapter == baseAlone {
			name = "(" + baseAlone + ")"
		}
		for _, r := range m.Tasks {
			for _, s := range r.Scores {
				spread := ""
				if s.StdErr > 0 {
					spread = fmt.Sprintf("%.4f", s.StdErr)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%.4f\t%s\t%d\t\n", name, r.Task, s.Name, s.Value, spread, s.N)
			}
		}
	}
	return t.Flush()
}
