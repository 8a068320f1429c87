// Command agora fine-tunes LLaMA-family models with parallel low-rank adapters and
// talks with the result.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/encoding/mapped"
	"github.com/agora-ml/agora/internal/version"
	"github.com/agora-ml/agora/tensor"
)

func main() { os.Exit(run(interruptible(), os.Args[1:], os.Stdout, os.Stderr)) }

// interruptible ends with the first Ctrl-C; a second one kills.
func interruptible() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// exitInterrupted is the exit code of a command that Ctrl-C has ended, as shells have it: a
// script does not go on with half a run.
const exitInterrupted = 128 + int(syscall.SIGINT)

// errInterrupted is what a command returns that was interrupted and has said so.
var errInterrupted = errors.New("interrupted")

// run is the whole program; it returns the exit code: 0, 1 for an error the user can
// act on, 2 for one of ours, or exitInterrupted.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	debug.SetPanicOnFault(true) // see mapped.Guard
	defer func() {
		if r := recover(); r != nil {
			var e *tensor.Error
			if cut := mapped.Cut(r); cut != nil {
				fmt.Fprintf(stderr, "agora: %v\n", cut)
				code = 1
				return
			}
			if err, ok := r.(error); ok && errors.As(err, &e) {
				fmt.Fprintf(stderr, "agora: %v\n", e)
			} else {
				fmt.Fprintf(stderr, "agora: internal error: %v\n%s", r, debug.Stack())
			}
			code = 2
		}
	}()
	root := command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return 0
	case err == errInterrupted:
		return exitInterrupted
	case errors.Is(err, context.Canceled):
		if err == context.Canceled {
			err = errInterrupted
		}
		fmt.Fprintf(stderr, "agora: %v\n", err)
		return exitInterrupted
	default:
		fmt.Fprintf(stderr, "agora: %v\n", err)
		return 1
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "agora",
		Short:         "Fine-tune LLaMA-family models with MultiLoRA",
		Long:          "Agora fine-tunes LLaMA-family models with many parallel low-rank adapters\n(MultiLoRA, arXiv 2311.11501) and talks with the result.",
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(
		planCommand(), trainCommand(), verifyResumeCommand(), generateCommand(), evalCommand(),
		mergeCommand(), exportCommand(), importCommand(), inspectCommand(), tokenizeCommand(), tokenizerCommand(), dataCommand(), plotCommand(),
		doctorCommand(), versionCommand(), benchCommand(), demoCommand(),
	)
	return root
}

// printJSON writes one value as indented JSON.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
