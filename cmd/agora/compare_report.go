package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/agora-ml/agora/compare"
	"github.com/agora-ml/agora/internal/printable"
)

// printComparison shows the table, the pairs and where the report is.
func printComparison(w io.Writer, r *compare.Results, out string) error {
	letters := func(cell string) string {
		if r.Experiment.Measure != compare.Letters {
			return ""
		}
		return fmt.Sprintf("  %13s", cell)
	}
	for _, steps := range r.Experiment.Train.Steps {
		fmt.Fprintf(w, "\nafter %d steps: mean ± standard deviation over seeds, each a mean over %d tasks\n\n",
			steps, len(r.Table[0].Tasks))
		fmt.Fprintf(w, "%-28s %5s  %-8s%s  %13s  %15s  %5s  %5s  %5s\n", "method", "seeds", "rate",
			letters("letters %"), "exact %", "loss", "dW/W", "s", "rank")
		for _, row := range r.Table {
			if row.Steps != steps {
				continue
			}
			fmt.Fprintf(w, "%-28s %5d  %-8g%s  %13s  %15s  %5.2f  %5.2f  %5.1f\n",
				printable.Name(row.Method), len(row.Seeds), row.LR,
				letters(percent(row.Mean.Letters)), percent(row.Mean.Exact), spread("%.3f ± %.3f", row.Mean.Loss, 1),
				row.Relative.Mean, row.Scaling.Mean, row.Rank.Mean)
			if row.Diverged > 0 {
				fmt.Fprintf(w, "%-28s %d runs diverged and are not in the means\n", "", row.Diverged)
			}
		}
	}
	fmt.Fprintln(w)
	for _, line := range r.Findings {
		fmt.Fprintln(w, printable.Name(line))
	}
	for _, line := range r.Notes {
		fmt.Fprintln(w, "note:", printable.Name(line))
	}
	_, err := fmt.Fprintf(w, "\nreport: %s\n", printable.Name(filepath.Join(out, compare.ReportFile)))
	return err
}

func percent(s compare.Summary) string { return spread("%.1f ± %.1f", s, 100) }

func spread(format string, s compare.Summary, factor float64) string {
	return fmt.Sprintf(format, factor*s.Mean, factor*s.SD)
}
