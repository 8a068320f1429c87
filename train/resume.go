package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/tensor"
)

// Resume goes on with the run in cfg.Out from its newest checkpoint, or that of
// Options.From, or from the beginning if it has none, and ends with the same bits as a run
// that was never interrupted. What could make other bits is refused by its name, unless
// Options.AllowOtherBits: settings, device, files of the checkpoint that are not those of the run. The
// learning rates may change, which is recorded, and settings that no number depends on. Model,
// tokenizer and data may lie elsewhere than when the checkpoint was made, if they are the same.
func Resume(ctx context.Context, d *tensor.Device, cfg Config, p Progress, o Options) (Summary, error) {
	unlock, err := begin(ctx, d, &cfg, &p, o, "train.Resume")
	if err != nil {
		return Summary{}, err
	}
	defer unlock()
	j := &judge{allow: o.AllowOtherBits, progress: p}
	c := checkpoints{filepath.Join(cfg.Out, CheckpointsFolder)}
	s, ok, err := c.choose(ctx, o.From, j)
	if err != nil {
		return Summary{}, unlessInterrupted(ctx, err)
	}
	began, err := cfg.began(s)
	if err != nil {
		return Summary{}, fmt.Errorf("--resume: %w", err)
	}
	cfg.keepDate(began)
	cfg.keepDType(began)
	if err := checkSame(cfg, began, ok, j); err != nil {
		return Summary{}, err
	}
	old, err := readSummary(cfg.Out)
	if err == nil && !old.Interrupted && o.From == "" {
		return Summary{}, fmt.Errorf("--resume: the run in %s is complete after %d steps", cfg.Out, old.Steps)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Summary{}, err
	}
	if !ok {
		p.Say(fmt.Sprintf("%s has no checkpoint: the run begins anew", printable.Name(cfg.Out)))
		return start(ctx, d, cfg, p, o, newState(), nil)
	}
	if err := c.check(ctx, &s, j); err != nil {
		return Summary{}, unlessInterrupted(ctx, err)
	}
	if cfg.FinalWeights == BestWeights {
		if err := c.checkBest(ctx, &s, j); err != nil {
			return Summary{}, unlessInterrupted(ctx, err)
		}
	}
	if err := checkHistory(cfg.Out, &s, j); err != nil {
		return Summary{}, err
	}
	if err := j.device(s.Device, cfg.arithmetic(d, o.processes())); err != nil {
		return Summary{}, err
	}
	switch now := program(); {
	case s.Version < 2:
		p.Say(fmt.Sprintf("warning: the checkpoint of step %d is of an earlier version: whether its files are as they "+
			"were written, and settings and device those of the run, cannot be checked", s.Step))
	case s.Program != now:
		p.Say(fmt.Sprintf("warning: the checkpoint of step %d was written by %s, and this is %s: other bits come of "+
			"it where a kernel has changed in between", s.Step, s.Program, now))
	}
	if s.Inputs, err = checkInputs(ctx, cfg, s, j); err != nil {
		return Summary{}, err
	}
	if err := s.changeRates(cfg); err != nil {
		return Summary{}, err
	}
	return start(ctx, d, cfg, p, o, s, j)
}

// unlessInterrupted is err, or what ended the work whose error that is.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return notBegun(ctx)
	}
	return err
}

// bitSettings are the settings that must be as the run began, as a checkpoint keeps them.
func (c *Config) bitSettings() map[string]string {
	all := map[string]string{}
	for _, s := range c.Settings() {
		if s.Resume == Fixed {
			all[s.Name] = s.String()
		}
	}
	return all
}

// began is the settings that the run in c.Out began with: those of its checkpoint, or of config.yaml where there is none, or
// of an earlier version that knew no settings.
func (c *Config) began(s state) (Config, error) {
	began := Defaults() // a setting that the run did not know yet
	if err := began.Read(filepath.Join(c.Out, ConfigFile)); err != nil {
		return began, c.wrongf("out", "want the folder of a run: %w", err)
	}
	if s.Settings != nil {
		known := map[string]bool{}
		for _, setting := range began.Settings() {
			text, ok := s.Settings[setting.Name]
			if known[setting.Name] = true; !ok {
				continue
			}
			if err := setting.Set(text); err != nil {
				return began, fmt.Errorf("the checkpoint of step %d: %s: %w", s.Step, setting.Name, err)
			}
		}
		for name := range s.Settings {
			if !known[name] {
				return began, fmt.Errorf("the checkpoint of step %d: unknown setting %q: it is of a later version", s.Step,
					shortened(name))
			}
		}
	}
	began.Resolve()
	return began, nil
}

// checkSame refuses settings that are not those the run began with. Other places of its inputs need a checkpoint, which
// knows what lay there.
func checkSame(cfg, began Config, checkpoint bool, j *judge) error {
	old := began.Settings()
	for i, setting := range cfg.Settings() {
		movable := setting.Resume == Movable
		switch {
		case setting.String() == old[i].String(), setting.Resume == Free, setting.Resume == Noted:
			continue
		case setting.derived != nil && setting.derived():
			continue
		case cfg.adapterGiven() && setting.Group == groupAdapter && !cfg.chosen(setting): // it is the adapter's
			continue
		case movable && checkpoint:
			continue // what lies there is compared
		}
		err := cfg.wrongf(setting.Name, "want %q, as the run in %s began, got %q", old[i], cfg.Out, setting)
		switch {
		case movable:
			err = cfg.wrongf(setting.Name, "want %q, as the run in %s began, which has no checkpoint to compare %q "+
				"with: begin a new run",
				old[i], cfg.Out, setting)
			return fmt.Errorf("--resume: %w", err)
		case !checkpoint:
			return fmt.Errorf("--resume: %w", err)
		case setting.Group == groupAdapter && j.allow:
			return fmt.Errorf("--resume: %w: what trains is the checkpoint's", err)
		}
		if err := j.differs(err, "setting "+setting.Name, old[i].String(), setting.String()); err != nil {
			return err
		}
	}
	return nil
}

// checkHistory refuses a checkpoint that does not stand behind the run's metrics: it is of
// another run. Metrics are synced before a checkpoint is written.
func checkHistory(dir string, s *state, j *judge) error {
	records, err := readRecords(filepath.Join(dir, MetricsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("metrics: %w", err)
	}
	i := slices.IndexFunc(records, func(r Record) bool {
		return r.Kind == KindStep && r.Step == s.Step && r.Loss != nil
	})
	if i < 0 {
		j.progress.Say(fmt.Sprintf("warning: %s has no record of step %d to compare the checkpoint with", MetricsFile,
			s.Step))
		return nil
	}
	if got := *records[i].Loss; got != s.Loss {
		err := fmt.Errorf("the checkpoint of step %d is of another run: want the loss %v, as in %s, got %v", s.Step,
			got,
			MetricsFile, s.Loss)
		return j.differs(err, "loss", fmt.Sprint(got), fmt.Sprint(s.Loss))
	}
	return nil
}

// checkInputs refuses files that are not those that a checkpoint was made from.
func checkInputs(ctx context.Context, cfg Config, s state, j *judge) ([]input, error) {
	now, err := cfg.readInputs(ctx)
	if err != nil {
		return nil, fmt.Errorf("--resume: %w", err)
	}
	if s.Inputs == nil {
		j.progress.Say(fmt.Sprintf("warning: the checkpoint of step %d is of an earlier version and knows its rows, "+
			"but not its model: %s is taken for it", s.Step, printable.Name(cmp.Or(cfg.Model, cfg.FromScratch))))
		return now, nil
	}
	return now, cfg.sameInputs(s.Inputs, now, j)
}
