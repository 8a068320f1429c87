// Package debug prints what a device runs: with AGORA_DEBUG=2 every kernel with its tensors, its time
// and who called it, with AGORA_DEBUG=1 the sums alone.
package debug

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// Variable is the environment variable that asks for it.
const Variable = "AGORA_DEBUG"

// Attach lets d print to w what the environment asks for.
func Attach(d *tensor.Device, w io.Writer) error {
	level := os.Getenv(Variable)
	switch level {
	case "", "0":
		return nil
	case "1", "2":
	default:
		return fmt.Errorf("%s=%q: want 0, 1 (time by kernel, at the end) or 2 (and every kernel)", Variable, level)
	}
	p := &printer{w: w, name: d.Name(), each: level == "2", sums: map[string]*sum{}, began: time.Now()}
	if !d.Timed(p.timed) {
		return fmt.Errorf("%s: %s does not measure its kernels", Variable, d.Name())
	}
	d.Trace(p.called)
	d.AtEnd(p.end)
	return nil
}

// printer waits for the times of the calls that it has seen.
type printer struct {
	w       io.Writer
	name    string
	each    bool
	waiting []call // those from first on, of which no later one is known to have run
	first   int
	sums    map[string]*sum
	began   time.Time
	n       int
}

// call is a kernel's call before its time is known.
type call struct {
	tensors, from string
	bytes, flops  float64
}

// sum is all calls of one form of a kernel.
type sum struct {
	form         string
	calls        int
	ran          time.Duration
	bytes, flops float64
}

func (p *printer) called(k tensor.Kernel, args []*tensor.Tensor) {
	c := call{flops: flops(k)}
	for _, t := range args {
		if t != nil {
			c.bytes += float64(t.Bytes())
		}
	}
	if p.each {
		c.tensors, c.from = described(k, args), callers()
	}
	p.waiting = append(p.waiting, c)
}

// timed finds the call. Those before it had nothing to do.
func (p *printer) timed(t tensor.Timing) {
	i := t.Call - p.first
	if i < 0 || i >= len(p.waiting) {
		return // a device that does not say which call it was
	}
	c := p.waiting[i]
	p.waiting, p.first = p.waiting[i+1:], t.Call+1
	s := p.sums[t.Form]
	if s == nil {
		s = &sum{form: t.Form}
		p.sums[t.Form] = s
	}
	s.calls, s.ran, s.bytes, s.flops = s.calls+1, s.ran+t.Ran, s.bytes+c.bytes, s.flops+c.flops
	if p.n++; p.each {
		fmt.Fprintf(p.w, "%6d %11s %s %s  %-22s %s  %s\n", p.n, short(t.Ran), speed(c.flops, t.Ran, "FLOP/s"),
			speed(c.bytes, t.Ran, "B/s"), t.Form, c.tensors, c.from)
	}
}

// end prints the sums, the longest first.
func (p *printer) end() {
	var all sum
	for _, s := range p.sums {
		all.calls, all.ran, all.bytes, all.flops = all.calls+s.calls, all.ran+s.ran, all.bytes+s.bytes,
			all.flops+s.flops
	}
	longest := slices.SortedFunc(maps.Values(p.sums), func(a, b *sum) int {
		return cmp.Or(cmp.Compare(b.ran, a.ran), strings.Compare(a.form, b.form))
	})
	fmt.Fprintf(p.w, "%s: %d kernels took %s of %s\n", p.name, all.calls, short(all.ran), short(time.Since(p.began)))
	for _, s := range longest {
		share := 100 * float64(s.ran) / float64(max(all.ran, 1))
		fmt.Fprintf(p.w, "%5.1f %% %11s %7d %s %s  %s\n", share, short(s.ran), s.calls, speed(s.flops, s.ran, "FLOP/s"),
			speed(s.bytes, s.ran, "B/s"), s.form)
	}
}

// short is a time in a unit that suits it.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.3f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.1f µs", float64(d)/1e3)
}

// speed is an amount by time in G or T, or spaces for none.
func speed(amount float64, d time.Duration, unit string) string {
	width := len("1234.5 T") + len(unit)
	if amount == 0 || d <= 0 {
		return strings.Repeat(" ", width)
	}
	v, prefix := amount/d.Seconds()/1e9, "G"
	if v >= 1000 {
		v, prefix = v/1000, "T"
	}
	return fmt.Sprintf("%*s", width, fmt.Sprintf("%.1f %s%s", v, prefix, unit))
}

// flops are the floating-point operations of products of matrices, a multiplication and an addition
// being two; other kernels are bound by memory. Attention's count every key, seen or not.
func flops(k tensor.Kernel) float64 {
	attention := func(k kernels.Attention, products int) float64 {
		scores := float64(k.Batch) * float64(k.Heads) * float64(k.T) * float64(k.S)
		return 2 * float64(products) * scores * float64(k.HeadDim)
	}
	switch k := k.(type) {
	case kernels.Matmul:
		return 2 * float64(k.Batch) * float64(k.M) * float64(k.N) * float64(k.K)
	case kernels.Attention:
		return attention(k, 2)
	case kernels.AttentionGrad:
		return attention(kernels.Attention(k), 5)
	case kernels.AttentionGradQ:
		return attention(kernels.Attention(k), 3)
	case kernels.AttentionGradKV:
		return attention(kernels.Attention(k), 4)
	}
	return 0
}

// described names a call's tensors: what is written, =, what is read.
func described(k tensor.Kernel, args []*tensor.Tensor) string {
	d, _ := shaders.Find(k.Name())
	var text strings.Builder
	reading := false
	for i, t := range args {
		if t == nil {
			continue
		}
		switch {
		case !reading && !d.Args[i].Written:
			text.WriteString(" = ")
			reading = true
		case i > 0 && text.Len() > 0:
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%s %s", d.Bindings[i], t)
	}
	return strings.TrimPrefix(text.String(), " ")
}

// callers are the line that runs the kernel, an operation's mostly, and the first one above it that is
// none of an engine's package.
func callers() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var lines []string
	for {
		f, more := frames.Next()
		within := engine(f.Function)
		if !strings.HasPrefix(within, "tensor") && (lines == nil || within == "") && f.File != "" {
			lines = append(lines, fmt.Sprintf("%s:%d",
				filepath.Join(filepath.Base(filepath.Dir(f.File)), filepath.Base(f.File)), f.Line))
			if within == "" {
				break
			}
		}
		if !more {
			break
		}
	}
	return strings.Join(lines, " < ")
}

// engine is the package below which calls are Agora's own business, or "".
func engine(function string) string {
	_, path, ok := strings.Cut(function, "github.com/agora-ml/agora/")
	if !ok {
		return ""
	}
	for _, name := range []string{"tensor", "autograd", "ops", "optim"} {
		if strings.HasPrefix(path, name+".") {
			return name
		}
	}
	return ""
}
