package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/tasks"
)

// What Config.BestBy chooses, beside the name of one of Config.EvalTasks.
const (
	BestByHeldOut = "held-out" // the lowest loss of held-out rows
	BestByTasks   = "tasks"    // the highest mean of the tasks' scores
)

// readTasks reads the examples that the run scores.
func (c *Config) readTasks() (list []eval.Task, err error) {
	for _, name := range c.EvalTasks {
		task, path, err := c.locateTask(name)
		if err != nil {
			return nil, err
		}
		examples, err := task.Read(path, 0)
		if err != nil {
			return nil, c.wrong("task-data", err)
		}
		scored, err := eval.NewTask(name, examples)
		if err != nil {
			return nil, c.wrong("eval-tasks", err)
		}
		list = append(list, scored)
	}
	return list, nil
}

// locateTask finds the rows of a task that are scored.
func (c *Config) locateTask(name string) (task tasks.Task, path string, err error) {
	if task, err = tasks.Find(name); err != nil {
		return task, "", c.wrong("eval-tasks", err)
	}
	if path, err = task.Locate(c.TaskData, tasks.Test); err != nil {
		return task, "", c.wrong("task-data", err)
	}
	return task, path, nil
}

// taskFiles are the files that are scored.
func (c *Config) taskFiles() (all []string, err error) {
	for _, name := range c.EvalTasks {
		_, path, err := c.locateTask(name)
		if err != nil {
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

// scores are the main scores of the tasks, by name; nil without any.
func (r *run) scores(ctx context.Context) (map[string]float64, error) {
	if len(r.tasks) == 0 {
		return nil, nil
	}
	all := map[string]float64{}
	for _, task := range r.tasks {
		subject := eval.Subject{Model: r.trainer.Model, Tokenizer: r.tokenizer}
		report, err := task.Run(ctx, subject, eval.Options{Limit: r.cfg.EvalLimit})
		if err != nil {
			return nil, fmt.Errorf("task %s: %w", task.Name(), err)
		}
		all[task.Name()] = report.Scores[0].Value
	}
	return all, nil
}

// judged is what the best weights have the least of: the held-out loss, or less than nothing of
// the scores.
func (c *Config) judged(b bestResult) float64 {
	switch c.BestBy {
	case BestByHeldOut:
		return b.HeldOutLoss
	case BestByTasks:
		sum := 0.0
		for _, name := range c.EvalTasks { // in one order: sums depend on it
			sum += b.Scores[name]
		}
		return -sum / float64(len(c.EvalTasks))
	}
	return -b.Scores[c.BestBy]
}

func (c *Config) checkEvalTasks() error {
	for i, name := range c.EvalTasks {
		if _, err := tasks.Find(name); err != nil {
			return err
		}
		if slices.Contains(c.EvalTasks[:i], name) {
			return fmt.Errorf("want %s once, got it again", name)
		}
	}
	if len(c.EvalTasks) > 0 && c.TaskData == "" {
		return errors.New("want task-data, the folder of the data sets, beside it, got none")
	}
	return nil
}

func (c *Config) checkBestBy() error {
	if c.BestBy == BestByHeldOut || c.BestBy == BestByTasks && len(c.EvalTasks) > 0 ||
		slices.Contains(c.EvalTasks, c.BestBy) {
		return nil
	}
	return fmt.Errorf("want %s, or beside eval-tasks %s or one of them, got %q", BestByHeldOut, BestByTasks, c.BestBy)
}
