package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/train"
)

func trainCommand() *cobra.Command {
	var settings settingFlags
	var dev deviceFlags
	var options train.Options
	var resume, asJSON bool
	c := &cobra.Command{
		Use:   "train [CONFIG.yaml]",
		Short: "Train a model: MultiLoRA, LoRA, full fine-tuning, or from scratch",
		Long: `Train a LLaMA model on rows of text. The settings are flags, or lines of a YAML file
with the same names (lr: 0.001), over which flags win. docs/configuration.md explains them.

The folder --out gets the result (an adapter, or a model with --method full), the settings,
metrics.jsonl, event files for TensorBoard, and checkpoints. Ctrl-C saves a checkpoint and
exits; --resume goes on from the newest one and ends with the same bits as a run that was
never interrupted, or says what is not as it was. --model, --tokenizer and --data beside it say
where these lie now, --lr goes on at another rate. docs/runs.md has more of it.`,
		Example: "  agora train --model models/llama --data alpaca_data.json --out my-adapter\n" +
			"  agora train --model models/llama --from-adapter my-adapter --data more.json --out my-second\n" +
			"  agora train --model models/llama --data pairs.jsonl --objective dpo --lr 5e-5 --out preferred\n" +
			"  agora train run.yaml --lr 1e-3\n" +
			"  agora train --out my-adapter --resume\n" +
			"  agora generate --model models/llama --adapter my-adapter --instruction \"Name three colors.\"",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			resume = resume || options.From != ""
			if options.AllowOtherBits && !resume {
				return errors.New("--allow-other-bits: want it with --resume or --resume-from")
			}
			cfg, err := settings.config(c, files, resume)
			if err != nil {
				return err
			}
			if err := checkSettings(cfg); err != nil {
				return err
			}
			w, err := joinWorld()
			if err != nil {
				return err
			}
			d, err := dev.open()
			if err != nil {
				return inWorld(err)
			}
			defer d.Close()
			begin := train.Run
			if resume {
				begin = train.Resume
			}
			options.World = w
			saved := func() {}
			out, notice := c.ErrOrStderr(), "interrupted: saving a checkpoint; a second Ctrl-C ends at once"
			if w.Rank() > 0 { // the first one tells what there is
				out, notice = io.Discard, ""
			}
			progress := newProgress(out, func() { saved = endsByItself(c.Context(), notice) })
			summary, err := begin(c.Context(), d, cfg, progress, options)
			saved()
			progress.close()
			if err != nil {
				return inWorld(err)
			}
			switch {
			case w.Rank() > 0:
			case asJSON:
				err = printJSON(c.OutOrStdout(), summary)
			default:
				err = printSummary(c.OutOrStdout(), cfg, summary)
			}
			if err == nil {
				err = leaveWorld()
			}
			if err == nil && summary.Interrupted {
				return errInterrupted
			}
			return err
		},
	}
	settings.register(c, 0)
	c.Flags().BoolVar(&resume, "resume", false, "go on with the run in --out; its settings are those of its "+
		"config.yaml")
	c.Flags().StringVar(&options.From, "resume-from", "",
		"go on from this checkpoint, such as step-000200, not from the newest: later ones are removed")
	c.Flags().BoolVar(&options.AllowOtherBits, "allow-other-bits", false,
		"with --resume: go on where settings, device or files are not the run's; checkpoints, metrics and summary "+
			"say what was not")
	c.Flags().BoolVar(&options.AnyBase, "force", false,
		"go on with an adapter (--from-adapter, --resume) although the model is not the one that it was made for, "+
			"or holds it already")
	c.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	dev.register(c)
	return c
}

// checkSettings finds what is wrong before a device is opened.
func checkSettings(cfg train.Config) error {
	cfg.Resolve()
	return cfg.Validate()
}
