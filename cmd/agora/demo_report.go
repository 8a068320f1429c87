package main

import (
	"fmt"
	"io"

	"github.com/agora-ml/agora/internal/termplot"
	"github.com/agora-ml/agora/internal/toy"
	"github.com/agora-ml/agora/multilora"
)

// methodName is how people write a method.
var methodName = map[multilora.Method]string{
	multilora.MethodLoRA: "LoRA", multilora.MethodMultiLoRA: "MultiLoRA", multilora.MethodRSLoRA: "rsLoRA",
	multilora.MethodDoRA: "DoRA",
}

// printDemo shows scores and spectra, and what to try in the folder out if there is one.
func printDemo(w io.Writer, r toy.Report, out string) error {
	fmt.Fprintf(w, "\nletters that are right, of %d rows a task\n\n", r.TestRows)
	fmt.Fprintf(w, "%-16s  %8s  %8s  %8s  %9s\n", "task", "chance", "base", "LoRA", "MultiLoRA")
	for _, s := range r.Scores {
		fmt.Fprintf(w, "%-16s  %6.1f %%  %6.1f %%  %6.1f %%  %7.1f %%\n", s.Task, 100*s.Chance, 100*s.Base,
			100*s.LoRA, 100*s.MultiLoRA)
	}
	fmt.Fprint(w, "\nThe table shows that both learn what the base cannot, and how much one run learns in as many "+
		"steps. It does\n"+
		"not show which method is better: with another seed some points move; agora compare finds what is beyond "+
		"that.\n")
	var series []termplot.Series
	for i, m := range r.Methods {
		series = append(series, termplot.Series{
			Name: fmt.Sprintf("%s (%d × rank %d, rate %g)", methodName[m.Method], m.Modules, m.Rank, m.Rate),
			Y:    m.Spectrum, Mark: []rune("o+")[i],
		})
	}
	fmt.Fprintln(w)
	err := termplot.Lines(ourOwn(w), series, termplot.Options{
		Title: "singular values of the weights' change, the largest being 1 (mean over all layers)",
		LogY:  true, Height: 12, Width: 60, Color: isTerminal(w),
	})
	if err != nil {
		return err
	}
	fmt.Fprint(w, "\nThe flatter a curve, the more directions of the weights a method uses. Effective rank\n(Roy "+
		"and Vetterli 2007; 1: one direction, ")
	fmt.Fprintf(w, "%d: all equally):", len(r.Methods[0].Spectrum))
	for _, m := range r.Methods {
		fmt.Fprintf(w, "  %s %.1f", methodName[m.Method], m.EffectiveRank)
	}
	fmt.Fprintln(w)
	if out != "" {
		return tryNext(w, out)
	}
	return nil
}
