// Command agora fine-tunes LLaMA-family models with parallel low-rank adapters and
// talks with the result.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/leftovers"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/internal/version"
)

func main() {
	code := run(interruptible(), os.Args[1:], os.Stdout, os.Stderr)
	leftovers.RemoveAll() // of a command that was left
	abortWorld(code)
	os.Exit(code)
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	p := newProgram(ctx, stdout, stderr)
	root := command()
	root.SetArgs(args)
	root.SetOut(p.out)
	root.SetErr(p.err)
	return p.end(p.run(root.ExecuteContext))
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "agora",
		Short: "Fine-tune LLaMA-family models with MultiLoRA",
		Long: "Agora fine-tunes LLaMA-family models with many parallel low-rank adapters\n(MultiLoRA, " +
			"arXiv 2311.11501) and talks with the result.",
		Version:           version.String(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              cobra.NoArgs,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return cmp.Or(checkProcesses(c), checkBounds(c)) },
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(
		planCommand(), trainCommand(), verifyResumeCommand(), generateCommand(), evalCommand(),
		mergeCommand(), mergeAdaptersCommand(), exportCommand(), importCommand(), inspectCommand(), tokenizeCommand(),
		tokenizerCommand(), dataCommand(), plotCommand(), analyzeCommand(),
		doctorCommand(), versionCommand(), benchCommand(), demoCommand(), compareCommand(),
	)
	return root
}

// printJSON writes one value as indented JSON, in which nothing steers a terminal.
func printJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(printable.JSON(text.Bytes()))
	return err
}
