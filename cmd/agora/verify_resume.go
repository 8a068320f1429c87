package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/train"
)

// verification is what verify-resume has found.
type verification struct {
	Same        bool               `json:"same"`
	Device      map[string]string  `json:"device"` // with what decides its bits
	Seed        uint64             `json:"seed"`
	Steps       int                `json:"steps"`
	Cuts        []runCut           `json:"cuts"`
	Files       int                `json:"files"` // that were compared
	Differences []train.Difference `json:"differences"`
	Folder      string             `json:"folder,omitempty"` // where both runs are left
}

// runCut is the end of one part of a run.
type runCut struct {
	How     string  `json:"how"`     // "kill" or "interrupt"
	Aim     int     `json:"aim"`     // the step after whose record it was to come
	Delay   float64 `json:"delay_s"` // behind that record
	Reached int     `json:"reached"` // steps recorded when it came
}

// verifyFlags are the flags of verify-resume.
type verifyFlags struct {
	steps, cuts, saveEvery int
	seed                   uint64
	out                    string
	asJSON                 bool
}

func verifyResumeCommand() *cobra.Command {
	var f verifyFlags
	var dev deviceFlags
	c := &cobra.Command{
		Use:   "verify-resume RUN",
		Short: "Cut a short run of these settings at random places, resume it, and compare all files",
		Long: `Make a short run of its own with the settings of a run's folder (its config.yaml) or of
a YAML file: once without interruption, and once more that is cut at random moments, by kill and by
Ctrl-C in turns, and resumed. Then compare all files of the two, apart from times and speeds. They have the
same bits, or the exit code is 1 and the first tensor that differs is named.

It runs on this machine and on the device that --device names, in a temporary folder; the run
RUN is only read.`,
		Example: "  agora verify-resume my-adapter\n  agora verify-resume run.yaml --device vulkan --cuts 10",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("seed") {
				f.seed = rand.Uint64() >> 32 // short enough to be typed
			}
			return f.run(c, &dev, args[0])
		},
	}
	c.Flags().IntVar(&f.steps, "steps", 20, "steps of the runs, if that is less than the run's")
	c.Flags().IntVar(&f.cuts, "cuts", 6, "how often the second run is cut")
	c.Flags().IntVar(&f.saveEvery, "save-every", 3, "steps between checkpoints")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "of the moments at which the run is cut (default: another each time)")
	c.Flags().StringVar(&f.out, "out", "", "new folder that keeps both runs (default: a temporary one, which stays "+
		"if they differ)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	dev.register(c)
	return c
}

func (f *verifyFlags) run(c *cobra.Command, dev *deviceFlags, source string) (err error) {
	cfg, err := f.settings(source)
	if err != nil {
		return err
	}
	d, err := dev.open()
	if err != nil {
		return err
	}
	v := verification{Device: d.Arithmetic(), Seed: f.seed, Steps: cfg.Steps, Cuts: []runCut{},
		Differences: []train.Difference{}}
	if err := d.Close(); err != nil {
		return err
	}
	dir := f.out
	if dir == "" {
		if dir, err = os.MkdirTemp("", "agora-verify-resume-"); err != nil {
			return err
		}
	} else {
		if err := checkOutFolder(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	keep := f.out != ""
	defer func() {
		if !keep {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	say := func(format string, args ...any) { fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...) }
	say("seed %d: %d cuts in %d steps on %s", v.Seed, f.cuts, v.Steps, v.Device["device"])
	p := parts{
		ctx: c.Context(), config: filepath.Join(dir, "settings.yaml"), whole: filepath.Join(dir, "whole"),
		cut:    filepath.Join(dir, "cut"),
		random: rand.New(rand.NewPCG(f.seed, 0)), say: say,
	}
	for _, name := range []string{"device", "threads", "memory-limit", "matmul-precision"} {
		if flag := c.Flags().Lookup(name); flag.Changed {
			p.device = append(p.device, "--"+name+"="+flag.Value.String())
		}
	}
	if err := cfg.Write(p.config); err != nil {
		return err
	}
	if err := p.uninterrupted(); err != nil {
		return err
	}
	if v.Cuts, err = p.interrupted(cfg.Steps, f.cuts); err != nil {
		return err
	}
	if v.Files, v.Differences, err = train.Compare(p.whole, p.cut); err != nil {
		return err
	}
	if v.Same = len(v.Differences) == 0; !v.Same {
		keep = true
	} else {
		v.Differences = []train.Difference{}
	}
	if keep {
		v.Folder = dir
	}
	return v.report(c.OutOrStdout(), f.asJSON)
}

// settings are those of the short runs.
func (f *verifyFlags) settings(source string) (train.Config, error) {
	path := source
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		path = filepath.Join(source, train.ConfigFile)
	}
	cfg := train.Defaults()
	if err := cfg.Read(path); err != nil {
		return cfg, fmt.Errorf("want a run's folder or a YAML file of settings: %w", err)
	}
	if cfg.Epochs == 0 {
		f.steps = min(f.steps, cfg.Steps)
	}
	cfg.Steps, cfg.Epochs, cfg.SaveEvery, cfg.EarlyStop = f.steps, 0, f.saveEvery, 0
	cfg.WarmupSteps = min(cfg.WarmupSteps, cfg.Steps)
	if cfg.EvalEvery > 0 {
		cfg.EvalEvery = min(cfg.EvalEvery, max(1, cfg.Steps/3))
	}
	cfg.Out = cmp.Or(cfg.Out, "run") // each has its own
	if cfg.TemplateDate == "" {      // one time for all of them
		cfg.TemplateDate = time.Now().Format(time.RFC3339)
	}
	return cfg, checkSettings(cfg)
}

func (v *verification) report(w io.Writer, asJSON bool) error {
	if asJSON {
		if err := printJSON(w, v); err != nil {
			return err
		}
	}
	if !v.Same {
		for _, d := range v.Differences[1:] {
			if !asJSON {
				fmt.Fprintln(w, d)
			}
		}
		return fmt.Errorf("verify-resume: other bits than without interruption (--seed %d): %s, and %d files more; "+
			"both runs are in %s", v.Seed, v.Differences[0], len(v.Differences)-1, v.Folder)
	}
	if asJSON {
		return nil
	}
	_, err := fmt.Fprintf(w, "the same bits: all %d files of a run of %d steps that was cut %d times are those of "+
		"one that was not\n", v.Files, v.Steps, len(v.Cuts))
	return err
}

// parts makes the two runs, in processes of their own.
type parts struct {
	ctx                context.Context
	config, whole, cut string
	device             []string // flags
	random             *rand.Rand
	say                func(format string, args ...any)

	begin, step time.Duration // until the first step is recorded, and of each further one
}

// process is this program with these arguments.
func (p *parts) process(args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if os.Getenv(testdevice.RunnerVariable) != "" { // tools/.vk/run: the executable is its loader
		path = os.Args[0]
	}
	return testdevice.Command(path, slices.Concat([]string{"train"}, args, p.device)...), nil
}

// start begins to run, or goes on, in a folder.
func (p *parts) start(out string) (running *exec.Cmd, ended chan error, said *bytes.Buffer, err error) {
	args := []string{"--out", out, "--resume"}
	if _, err := os.Stat(filepath.Join(out, train.ConfigFile)); err != nil {
		args = []string{p.config, "--out", out}
	}
	if running, err = p.process(args...); err != nil {
		return nil, nil, nil, err
	}
	said = &bytes.Buffer{}
	running.Stdout, running.Stderr = io.Discard, said
	if err := running.Start(); err != nil {
		return nil, nil, nil, err
	}
	ended = make(chan error, 1)
	go func() { ended <- running.Wait() }()
	return running, ended, said, nil
}

// uninterrupted makes the run that nothing happens to, and takes its time.
func (p *parts) uninterrupted() error {
	start := time.Now()
	running, ended, said, err := p.start(p.whole)
	if err != nil {
		return err
	}
	first := time.Duration(0)
	for {
		select {
		case err := <-ended:
			if err != nil {
				return failed("the uninterrupted run", err, said)
			}
			total := time.Since(start)
			p.begin = cmp.Or(first, total)
			p.step = (total - p.begin) / time.Duration(max(1, lastStep(p.whole)))
			p.say("without interruption: %s", total.Round(time.Millisecond))
			return nil
		case <-p.ctx.Done():
			_ = running.Process.Kill() // it is of no use any more
			<-ended
			return p.ctx.Err()
		case <-time.After(time.Millisecond):
			if first == 0 && lastStep(p.whole) > 0 {
				first = time.Since(start)
			}
		}
	}
}

// interrupted makes the run that is cut so often, or until it has ended.
func (p *parts) interrupted(steps, cuts int) (list []runCut, err error) {
	aims := make([]int, cuts) // 0: on the way to the first step
	for i := range aims {
		aims[i] = p.random.IntN(steps)
	}
	slices.Sort(aims)
	for i, aim := range aims {
		c := runCut{How: "kill", Aim: aim, Delay: p.random.Float64() * (2 * p.step).Seconds()}
		if i%2 == 1 && runtime.GOOS != "windows" { // where a process cannot be sent a Ctrl-C
			c.How = "interrupt"
		}
		if aim == 0 {
			c.Delay = p.random.Float64() * p.begin.Seconds()
		}
		done, err := p.part(&c)
		if err == nil && done && len(list) == 0 { // the run is short, and the machine was slower before
			if err = os.RemoveAll(p.cut); err == nil {
				c = runCut{How: "kill", Delay: p.random.Float64() * p.begin.Seconds() / 4}
				done, err = p.part(&c)
			}
		}
		switch {
		case err != nil:
			return list, err
		case done && len(list) == 0:
			return list, errors.New("verify-resume: the run ends before it can be cut: want more --steps")
		}
		if done {
			break
		}
		p.say("cut %d/%d: %s after step %d", i+1, cuts, c.How, c.Reached)
		list = append(list, c)
	}
	if !complete(p.cut) {
		if _, err := p.part(nil); err != nil {
			return list, err
		}
	}
	return list, nil
}

// part makes one part of a run, until it is cut or has ended: then it is complete.
func (p *parts) part(c *runCut) (done bool, err error) {
	before, _ := os.Stat(filepath.Join(p.cut, train.MetricsFile)) // nil where there is none
	running, ended, said, err := p.start(p.cut)
	if err != nil {
		return false, err
	}
	// What a process before this one has recorded is enough to kill it on its way. Ctrl-C waits until it listens,
	// which is before it makes the file anew: in the background of a script that signal is ignored until then.
	ready := func() bool {
		now, err := os.Stat(filepath.Join(p.cut, train.MetricsFile))
		return c.How == "kill" || err == nil && (before == nil || !os.SameFile(before, now))
	}
	var due <-chan time.Time
	for {
		if c != nil && due == nil && ready() && lastStep(p.cut) >= c.Aim {
			due = time.After(time.Duration(c.Delay * float64(time.Second)))
		}
		select {
		case err := <-ended:
			switch {
			case err != nil && c != nil && running.ProcessState.ExitCode() == exitInterrupted: // Ctrl-C, of the user
				return false, context.Canceled
			case err != nil:
				return false, failed("a resumed run", err, said)
			}
			return true, nil
		case <-p.ctx.Done():
			_ = running.Process.Kill()
			<-ended
			return false, p.ctx.Err()
		case <-due:
			signal := os.Signal(os.Interrupt)
			if c.How == "kill" {
				signal = os.Kill
			}
			if err := running.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return false, err
			}
			err := <-ended
			c.Reached = lastStep(p.cut)
			switch code := running.ProcessState.ExitCode(); {
			case err == nil:
				return complete(p.cut), nil
			case signal == os.Kill && code != -1 && runtime.GOOS != "windows",
				signal != os.Kill && code != exitInterrupted && code != -1:
				return false, failed("a resumed run", err, said)
			}
			return complete(p.cut), nil
		case <-time.After(time.Millisecond):
		}
	}
}

// complete reports whether a run has ended: it may have been killed when nothing was left to do.
func complete(out string) bool {
	var s train.Summary
	text, err := os.ReadFile(filepath.Join(out, train.SummaryFile))
	return err == nil && json.Unmarshal(text, &s) == nil && !s.Interrupted
}

// lastStep is the last step that a run has recorded so far.
func lastStep(out string) int {
	records, err := train.ReadMetrics(out)
	if err != nil || len(records) == 0 {
		return 0 // it may be about to be written
	}
	return records[len(records)-1].Step
}

func failed(what string, err error, said *bytes.Buffer) error {
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	return fmt.Errorf("%s: %w: %s", what, err, lines[len(lines)-1])
}
