package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/compare"
	"github.com/agora-ml/agora/internal/printable"
)

// compareFlags are what agora compare is told.
type compareFlags struct {
	scale  string
	out    string
	jobs   int
	plan   bool
	yaml   bool
	asJSON bool
	dev    deviceFlags
}

func compareCommand() *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use:   "compare [EXPERIMENT.yaml]",
		Short: "Compare ways of fine-tuning over seeds, each at the rate that suits it",
		Long: `Compare ways of fine-tuning a model for several tasks at once: full, LoRA, rsLoRA, LoRA+,
MultiLoRA. Every method is tried at as many learning rates as any other, on validation rows and
seeds that are not scored, and then runs on new seeds. Prints means and standard deviations over
seeds, of each task in the report, and for pairs of methods the difference by seed with its 95 %
interval.

The experiment is a YAML file, or one that is built in: --scale small (five to six minutes), default
(one to two hours on two cores), full and full-sums (some hours each). --plan says what there is to do,
and how long it takes; --yaml prints a built-in file to begin one's own with. docs/experiment.md
explains both.

The folder --out keeps every run, results.json and report.html. Ctrl-C ends at once; the same
command goes on where it stopped, and comes to the same numbers.

Methods:
` + listed(compare.Methods()) + `
Generated tasks:
` + listed(compare.Families()),
		Example: "  agora compare --scale small --plan\n" +
			"  agora compare --scale small --out comparison\n" +
			"  agora compare --scale default --yaml >mine.yaml\n" +
			"  agora compare mine.yaml --out comparison",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error { return f.run(c, files) },
	}
	fl := c.Flags()
	fl.StringVar(&f.scale, "scale", "", "a built-in experiment: "+strings.Join(compare.Scales(), ", "))
	fl.StringVar(&f.out, "out", "comparison", "folder for all runs and the report; what is there is not made again")
	fl.IntVar(&f.jobs, "jobs", 0, "runs at a time, each with its share of the threads; 0: on the CPU one a core "+
		"for generated tasks, else one. Results are the same for any number")
	fl.BoolVar(&f.plan, "plan", false, "only print what there is to do, and how long it takes")
	fl.BoolVar(&f.yaml, "yaml", false, "only print the file of --scale")
	fl.BoolVar(&f.asJSON, "json", false, "print the results, or with --plan the plan, as JSON")
	f.dev.register(c)
	return c
}

// listed is a line for each name and what it is.
func listed(names [][2]string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "  %-10s %s\n", n[0], n[1])
	}
	return b.String()
}

func (f *compareFlags) run(c *cobra.Command, files []string) error {
	if (len(files) == 1) == (f.scale != "") {
		got := map[bool]string{true: "both", false: "neither"}[f.scale != ""]
		return fmt.Errorf("agora compare: want a file or --scale %s, got %s", strings.Join(compare.Scales(), "|"), got)
	}
	if f.yaml {
		return f.printYAML(c.OutOrStdout())
	}
	e, err := f.experiment(files)
	if err != nil {
		return err
	}
	if f.dev.profile != "" {
		return errors.New("--profile: want it with a single run, such as agora train's: a comparison has many")
	}
	if err := f.divide(e); err != nil {
		return err
	}
	p := &compareProgress{demoProgress{out: c.ErrOrStderr()}, time.Time{}}
	defer p.close()
	o := compare.Options{Open: f.dev.open, Jobs: f.jobs, Progress: p}
	plan, err := compare.MakePlan(c.Context(), e, f.out, o)
	if err != nil {
		return err
	}
	if f.plan && f.asJSON {
		return printJSON(c.OutOrStdout(), plan)
	}
	to := c.ErrOrStderr()
	if f.plan {
		to = c.OutOrStdout()
	}
	if err := printPlan(to, e, plan, f.jobs); err != nil || f.plan {
		return err
	}
	if plan.Missing.Runs() > 0 {
		p.Say("Ctrl-C ends this; the same command goes on")
	}
	r, err := compare.Run(c.Context(), e, f.out, o)
	p.close()
	if err != nil {
		return err
	}
	if err := r.Save(f.out); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if f.asJSON {
		return printJSON(c.OutOrStdout(), r)
	}
	return printComparison(c.OutOrStdout(), r, f.out)
}

func (f *compareFlags) printYAML(w io.Writer) error {
	if f.scale == "" {
		return errors.New("--yaml: want it with --scale")
	}
	text, err := compare.ScaleText(f.scale)
	if err != nil {
		return fmt.Errorf("--scale: %w", err)
	}
	_, err = w.Write(text)
	return err
}

func (f *compareFlags) experiment(files []string) (compare.Experiment, error) {
	if f.scale == "" {
		return compare.Read(files[0])
	}
	e, err := compare.Scale(f.scale)
	if err != nil {
		return e, fmt.Errorf("--scale: %w", err)
	}
	return e, nil
}

// divide gives each of several runs its share of the CPU: small models are faster on one thread each
// than one after the other on all.
func (f *compareFlags) divide(e compare.Experiment) error {
	d, err := f.dev.open()
	if err != nil {
		return err
	}
	onCPU := strings.HasPrefix(d.Name(), "cpu")
	if err := d.Close(); err != nil {
		return err
	}
	if onCPU {
		f.dev.name = "cpu"
	}
	f.dev.quiet = true
	threads := f.dev.threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if f.jobs == 0 {
		f.jobs = 1
		if onCPU && e.Base.Generated != "" {
			f.jobs = threads
		}
	}
	f.dev.threads = max(1, threads/f.jobs)
	return nil
}

// compareProgress shows lines, and on a terminal a bar of runs; elsewhere a line now and then.
type compareProgress struct {
	demoProgress
	shown time.Time
}

func (p *compareProgress) Runs(done, of int, left time.Duration) {
	if isTerminal(p.out) {
		p.Step(done, of)
		return
	}
	if time.Since(p.shown) < 15*time.Second && done != of {
		return
	}
	p.shown = time.Now()
	p.Say(fmt.Sprintf("run %d/%d  %s left", done, of, left.Round(time.Second)))
}

func printPlan(w io.Writer, e compare.Experiment, p compare.Plan, jobs int) error {
	fmt.Fprintf(w, "%s: %d methods, after %s steps, on %d seeds that count\n", printable.Name(e.Name),
		len(e.Methods), numbers(e.Train.Steps), len(e.Seeds.Score))
	fmt.Fprintf(w, "%-28s %6s  %8s\n", "", "runs", "to make")
	for _, part := range []struct {
		what         string
		all, missing int
	}{
		{"base models", p.Bases, p.Missing.Bases},
		{"to choose rates", p.Tuning, p.Missing.Tuning},
		{"that count", p.Scored, p.Missing.Scored},
	} {
		fmt.Fprintf(w, "%-28s %6d  %8d\n", part.what, part.all, part.missing)
	}
	if p.Rounds > 0 {
		fmt.Fprintf(w, "and %d more each time that a best rate is at the end of its grid, %d times at most for "+
			"each number of steps\n", p.More, p.Rounds)
	}
	left := "unknown before the first run has ended"
	switch {
	case p.Missing.Runs() == 0:
		left = "none: all runs are there"
	case p.Seconds > 0:
		seconds := time.Duration(p.Seconds) * time.Second
		left = fmt.Sprintf("about %s, %d runs at a time", seconds.Round(max(time.Second, seconds/20)), jobs)
	}
	_, err := fmt.Fprintf(w, "time: %s\n", left)
	return err
}

func numbers(list []int) string {
	var all []string
	for _, n := range list {
		all = append(all, fmt.Sprint(n))
	}
	return strings.Join(all, " and ")
}
