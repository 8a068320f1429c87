package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/tokenizer"
)

// preview is what data preview prints.
type preview struct {
	Rows   []previewRow `json:"rows"` // sequences
	Fields []data.Field `json:"fields"`
	// PassedOver are files of other splits than what is read.
	PassedOver []string      `json:"passed_over,omitempty"`
	Totals     previewTotals `json:"totals"`

	note, others string // on special tokens and on PassedOver, for people
}

// previewRow is a sequence, token by token. The last token is a target only, where it
// counts; where it does not, nobody sees it, and it is not there.
type previewRow struct {
	Source   data.Source `json:"source"`
	Judgment string      `json:"judgment,omitempty"`   // chosen or rejected
	Packed   int         `json:"packed_row,omitempty"` // from 1: the row that it is packed in
	Tokens   int         `json:"tokens"`               // positions
	IDs      []int32     `json:"ids"`
	Pieces   []string    `json:"pieces"` // the ids' names in the vocabulary
	Counted  []bool      `json:"counted"`

	runs []tokenRun
}

type previewTotals struct {
	data.Counts
	Groups  int         `json:"groups"`                   // of sequences that are held out, or not, together
	HeldOut int         `json:"held_out_split,omitempty"` // sequences of the split to hold out
	Lengths *lengths    `json:"lengths,omitempty"`        // of sequences
	Packed  *data.Epoch `json:"packed,omitempty"`
}

// lengths are percentiles: so many per cent of the sequences are at most that long.
type lengths struct {
	Min int `json:"min"`
	P50 int `json:"p50"`
	P90 int `json:"p90"`
	P99 int `json:"p99"`
	Max int `json:"max"`
}

func lengthsOf(seqs []data.Sequence) *lengths {
	if len(seqs) == 0 {
		return nil
	}
	var all []int
	for _, s := range seqs {
		for s := &s; s != nil; s = s.Rejected {
			all = append(all, len(s.IDs))
		}
	}
	slices.Sort(all)
	at := func(percent int) int { return all[max(0, (len(all)*percent+99)/100-1)] }
	return &lengths{at(0), at(50), at(90), at(99), at(100)}
}

// tokenRun is text of neighboring tokens of one kind.
type tokenRun struct {
	text             string
	counted, special bool
}

// show takes the first rows of a batch; both of a pair are one.
func (p *preview) show(tok tokenizer.Tokenizer, b data.Batch, rows int, packed bool) {
	for i := 0; i < min(b.Rows-1, rows) && !packed; i++ {
		if b.Judgments[i+1][0] == data.Rejected && b.Sources[i][0] == b.Sources[i+1][0] {
			rows++
		}
	}
	for r := range min(b.Rows, rows) {
		row := b.Row(r)
		at := 0
		for segment, source := range row.Sources[0] {
			to := at
			for to < row.Len() && row.Segments[to] == int32(segment) {
				to++
			}
			shown := previewRow{Source: source, Judgment: row.Judgments[0][segment].String(), Tokens: to - at}
			if packed {
				shown.Packed = r + 1
			}
			shown.add(tok, row.IDs[at:to], row.Labels[at:to])
			p.Rows = append(p.Rows, shown)
			at = to
		}
	}
}

func (r *previewRow) add(tok tokenizer.Tokenizer, ids, labels []int32) {
	var bytes []byte // of the run that is not yet in runs
	var last tokenRun
	end := func() {
		if last.text = last.text + visible(string(bytes)); last.text != "" {
			r.runs = append(r.runs, last)
		}
		bytes, last.text = bytes[:0], ""
	}
	one := func(id int32, counted bool) {
		r.IDs, r.Pieces, r.Counted = append(r.IDs, id), append(r.Pieces, tok.Piece(id)), append(r.Counted, counted)
		text, _ := tok.Append(nil, id, false)
		special := len(text) == 0
		if special || special != last.special || counted != last.counted {
			end()
			last.special, last.counted = special, counted
		}
		if special {
			last.text = visible(tok.Piece(id))
		}
		bytes = append(bytes, text...)
	}
	for i, id := range ids {
		one(id, i > 0 && labels[i-1] != data.Ignored)
	}
	if label := labels[len(labels)-1]; label != data.Ignored {
		one(label, true)
	}
	end()
}

// visible is text in which nothing moves the cursor or hides: characters that control a
// terminal become pictures of them, and what is not UTF-8 U+FFFD.
func visible(text string) string {
	return printable.Text(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ':
			return '␀' + r
		case r == 0x7f:
			return '␡'
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, text))
}

func (p *preview) print(out io.Writer) error {
	m := p.marks(isTerminal(out) && os.Getenv("NO_COLOR") == "")
	var text strings.Builder
	if len(p.Rows) > 0 {
		fmt.Fprintf(&text, "%sin the loss%s, %sonly read%s, %sspecial token%s\n\n",
			m.counted[0], m.counted[1], m.read[0], m.read[1], m.special[0], m.special[1])
	}
	for _, r := range p.Rows {
		counted := 0
		for _, c := range r.Counted {
			if c {
				counted++
			}
		}
		if r.Packed > 0 {
			fmt.Fprintf(&text, "packed row %d, ", r.Packed)
		}
		name := printable.Name(r.Source.String())
		if r.Judgment != "" {
			name += ", " + r.Judgment
		}
		fmt.Fprintf(&text, "%s: %d tokens, %d in the loss\n", name, r.Tokens, counted)
		m.write(&text, r.runs)
		text.WriteString("\n\n")
	}
	writeFields(&text, p.Fields)
	p.Totals.write(&text)
	if p.others != "" {
		text.WriteString("files      " + visible(p.others) + "\n")
	}
	if p.note != "" {
		text.WriteString("special    " + visible(p.note) + "\n")
	}
	_, err := io.WriteString(ourOwn(out), text.String())
	return err
}

// marks stand before and behind runs.
type marks struct {
	counted, read, special [2]string
	nested                 bool // a special token's marks stand within those of what counts
}

// marks are colors, or brackets that stand in no row shown.
func (p *preview) marks(color bool) marks {
	if color {
		const end = "\x1b[0m"
		return marks{counted: [2]string{"\x1b[1;32m", end}, read: [2]string{"\x1b[2m", end},
			special: [2]string{"\x1b[7m", end}}
	}
	used := map[rune]bool{}
	for _, r := range p.Rows {
		for _, run := range r.runs {
			for _, c := range run.text {
				used[c] = true
			}
		}
	}
	var free [][2]string
	for _, pair := range []string{"⟦⟧", "⟨⟩", "⟪⟫", "⦃⦄", "⦗⦘", "❲❳", "【】", "〖〗"} {
		c := []rune(pair)
		if !used[c[0]] && !used[c[1]] {
			free = append(free, [2]string{string(c[0]), string(c[1])})
		}
	}
	for r := rune(0xe000); len(free) < 2; r += 2 { // private use: a text does not hold all of Unicode
		if !used[r] && !used[r+1] {
			free = append(free, [2]string{string(r), string(r + 1)})
		}
	}
	return marks{counted: free[0], special: free[1], nested: true}
}

func (m marks) write(out *strings.Builder, runs []tokenRun) {
	for i, r := range runs {
		around := m.read
		if r.counted {
			around = m.counted
		}
		begin, end := around[0], around[1]
		if m.nested && i > 0 && runs[i-1].counted == r.counted {
			begin = ""
		}
		if m.nested && i+1 < len(runs) && runs[i+1].counted == r.counted {
			end = ""
		}
		out.WriteString(begin)
		if r.special {
			out.WriteString(m.special[0] + r.text + m.special[1])
		} else {
			out.WriteString(r.text)
		}
		out.WriteString(end)
	}
}

// writeFields writes a line for each form and fate.
func writeFields(out *strings.Builder, fields []data.Field) {
	title := "fields"
	for i, f := range fields {
		switch {
		case i > 0 && fields[i-1].Format == f.Format && fields[i-1].Fate == f.Fate:
			out.WriteString(", ")
		default:
			if i > 0 {
				out.WriteString("\n")
			}
			fmt.Fprintf(out, "%-10s %s, %s: ", title, f.Format, f.Fate)
			title = ""
		}
		fmt.Fprintf(out, "%s %d", visible(f.Name), f.Count)
	}
	if len(fields) > 0 {
		out.WriteString("\n")
	}
}

func (t *previewTotals) write(out *strings.Builder) {
	fmt.Fprintf(out, "rows       %d: %d cut (%d tokens), %d split, %d dropped", t.Rows, t.Cut, t.CutTokens, t.Split,
		t.Dropped)
	if t.Dropped > 0 {
		out.WriteString(" (too long, or nothing in them counts)")
	}
	out.WriteString("\n")
	if t.Lengths == nil {
		fmt.Fprintln(out, "sequences  none")
		return
	}
	fmt.Fprintf(out, "sequences  %d of %d tokens, %d in the loss (%.1f %%)\n", t.Sequences, t.Tokens, t.Counted,
		100*float64(t.Counted)/float64(t.Tokens))
	fmt.Fprintf(out, "groups     %d: equal sequences, and those of one row, are held out together or not at all\n",
		t.Groups)
	if t.HeldOut > 0 {
		fmt.Fprintf(out, "held out   %d of the sequences are of the split to hold out\n", t.HeldOut)
	}
	l := t.Lengths
	fmt.Fprintf(out, "lengths    %d to %d tokens; half of the sequences have at most %d, 90 %% %d, 99 %% %d\n", l.Min,
		l.Max, l.P50, l.P90, l.P99)
	if t.Packed != nil {
		fmt.Fprintf(out, "packed     %d rows, %.1f %% full\n", t.Packed.Rows, 100*t.Packed.Fill)
	}
}
