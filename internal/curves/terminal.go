package curves

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/internal/termplot"
)

// marks tell runs apart where there are no colors.
var marks = []rune("•×+o*#")

// Terminal draws the losses with characters, and sums the runs up.
func Terminal(w io.Writer, runs []Run, o termplot.Options) error {
	o.XLabel = "step"
	for _, frame := range frames(runs, o.Color) {
		o.Title = frame.title
		if err := termplot.Lines(w, frame.series, o); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return table(w, runs)
}

type frame struct {
	title  string
	series []termplot.Series
}

// frames are one for a single run, and one for each loss of several.
func frames(runs []Run, colored bool) []frame {
	if len(runs) == 1 {
		f := frame{title: "loss, " + lossUnit(runs)}
		f.series = []termplot.Series{
			line("training, smoothed", runs[0].Curve(Loss).Smooth(), 0),
			line("held-out", runs[0].Curve(HeldOutLoss), '●'),
		}
		return []frame{f}
	}
	training, heldOut := frame{title: "training loss, smoothed, " + lossUnit(runs)},
		frame{title: "held-out loss, " + lossUnit(runs)}
	for i, r := range runs {
		mark := marks[i%len(marks)]
		heldOut.series = append(heldOut.series, line(printable.Name(r.Name), r.Curve(HeldOutLoss), mark))
		if colored {
			mark = 0
		}
		training.series = append(training.series, line(printable.Name(r.Name), r.Curve(Loss).Smooth(), mark))
	}
	return []frame{training, heldOut}
}

func line(name string, c Curve, mark rune) termplot.Series {
	return termplot.Series{Name: name, X: c.Steps, Y: c.Values, Mark: mark}
}

// table sums the runs up, a line each.
func table(w io.Writer, runs []Run) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "run\tsteps\ttraining loss\theld-out loss\tlowest held-out")
	for _, r := range runs {
		loss, heldOut := r.Curve(Loss).Smooth(), r.Curve(HeldOutLoss)
		steps, lowest := "-", "-"
		if loss.Len() > 0 {
			steps = fmt.Sprint(loss.Range().Last.Step)
		}
		if heldOut.Len() > 0 {
			least := heldOut.Range().Min
			lowest = fmt.Sprintf("%.4f at step %d", least.Value, least.Step)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", printable.Name(r.Name), steps, fromTo(loss), fromTo(heldOut), lowest)
	}
	return t.Flush()
}

func fromTo(c Curve) string {
	if c.Len() == 0 {
		return "-"
	}
	return fmt.Sprintf("%.4f → %.4f", c.Range().First.Value, c.Range().Last.Value)
}
