package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/train"
)

// planReport is what agora plan --json prints.
type planReport struct {
	train.Plan
	Available int `json:"available,omitempty"` // bytes; 0: unknown
	// AvailableProcess is for the whole process, where the tensors lie in its memory.
	AvailableProcess int            `json:"available_process,omitempty"`
	Fits             bool           `json:"fits"`
	Changes          []train.Change `json:"changes,omitempty"` // of the settings, where it does not fit

	Time *train.StepTime `json:"time,omitempty"` // where --compute says what the device computes
}

func planCommand() *cobra.Command {
	var settings settingFlags
	var dev deviceFlags
	var asJSON bool
	var processes int
	var tflops, gbits, gbytes float64
	c := &cobra.Command{
		Use:   "plan [CONFIG.yaml]",
		Short: "What a training run would need, before it runs",
		Long: `Tell what a run of agora train with the same settings would need: parameters, tokens a
step, memory by kind. The run's own code runs on a device of sizes without contents, so that
it takes a moment for any model, and neither weights nor data need be there. Where the run
does not fit into the memory of the device, say what would help, and exit with code 1.

--model may be, beside a folder or GGUF file, a config.json or one of the names
` + strings.Join(llama.Shapes(), ", ") + `.`,
		Example: "  agora plan run.yaml\n" +
			"  agora plan --model llama-7b --dtype bf16 --gradient-checkpointing --max-tokens 1024",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			cfg, err := settings.config(c, files, false)
			if err != nil {
				return err
			}
			d, err := dev.open()
			if err != nil {
				return err
			}
			defer d.Close()
			why := cfg.ChooseDType(d)
			p, err := train.NewPlan(cfg, train.PlanOptions{Device: device.Options{Threads: dev.threads, MatmulPrecision: dev.precision.Precision},
				GPU: !d.KeepsScratch(), Processes: processes})
			if err != nil {
				return err
			}
			room := train.RoomOn(d)
			if dev.memoryLimit > 0 { // a plan for another machine
				room.Process = 0
			}
			var time *train.StepTime
			if tflops != 0 || gbits != 0 || gbytes != 0 {
				t, err := p.Time(train.Machine{Compute: 1e12 * tflops, Network: 1e9 * gbits, Offloaded: 1e9 * gbytes})
				if err != nil {
					return fmt.Errorf("--compute, --network, --bandwidth: %w", err)
				}
				time = &t
			}
			err = p.Fits(room)
			if !asJSON {
				if why != "" {
					fmt.Fprintln(c.OutOrStdout(), "dtype auto:", why)
				}
				fmt.Fprintln(c.OutOrStdout(), p)
				if time != nil {
					fmt.Fprintln(c.OutOrStdout(), time)
				}
				return err
			}
			report := planReport{Plan: p, Available: room.Device, AvailableProcess: room.Process, Fits: err == nil,
				Time: time}
			if e, ok := errors.AsType[*train.DoesNotFitError](err); ok {
				report.Changes = e.Changes
			}
			if jsonErr := printJSON(c.OutOrStdout(), report); jsonErr != nil {
				return jsonErr
			}
			return err
		},
	}
	settings.register(c, 0)
	c.Flags().IntVar(&processes, "processes", 1, "`number` of processes that will make the run; the plan is of one of "+
		"them")
	c.Flags().Float64Var(&tflops, "compute", 0, "`TFLOPS` of each process's device, as agora bench step measures them: "+
		"predicts the time of a step")
	c.Flags().Float64Var(&gbits, "network", 0, "with --compute: `Gbit/s` of each process's link")
	c.Flags().Float64Var(&gbytes, "bandwidth", 0, "with --compute: `GB/s` at which offloaded weights come, from a disk "+
		"that the memory does not keep them of, or over the bus of a GPU; 0: they take no time")
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	dev.register(c)
	return c
}
