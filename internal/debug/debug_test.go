package debug_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/debug"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// printed is what a linear layer and its gradients print at a level.
func printed(t *testing.T, level string) string {
	t.Helper()
	t.Setenv(debug.Variable, level)
	b, err := cpu.Open(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	var out strings.Builder
	if err := debug.Attach(d, &out); err != nil {
		t.Fatal(err)
	}
	tape := autograd.NewTape(d)
	x, w := tape.Leaf(d.New(tensor.F32, 3, 64)), autograd.Const(d.New(tensor.BF16, 5, 64))
	y := ops.Linear(x, w, nil)
	tape.BackwardFrom([]*autograd.Var{y}, []*tensor.Tensor{d.New(tensor.F32, 3, 5)})
	tape.Close()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEveryKernel(t *testing.T) {
	const number = `[0-9.]+`
	want := regexp.MustCompile(`^ +1 +` + number + ` .?s +` + number + ` [GT]FLOP/s +` + number +
		` GB/s +matmul +c f32\[3 5\] = a f32\[3 64\], b bf16\[5 64\]  ops/linear.go:\d+ < debug/debug_test.go:\d+
 +2 +` + number + ` .?s .* matmul +c f32\[3 64\] = a f32\[3 5\], b bf16\[5 64\]  ops/linear.go:\d+ < debug/debug_test.go:\d+
cpu: 2 kernels took ` + number + ` .?s of ` + number + ` .?s
100.0 % +` + number + ` .?s +2 +` + number + ` [GT]FLOP/s +` + number + ` GB/s  matmul
$`)
	if got := printed(t, "2"); !want.MatchString(got) {
		t.Errorf("printed\n%s\nwant what matches\n%s", got, want)
	}
}

func TestSumsAlone(t *testing.T) {
	if got := printed(t, "1"); strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, "cpu: 2 kernels took ") {
		t.Errorf("printed\n%s", got)
	}
}

func TestOffAndWrong(t *testing.T) {
	for _, level := range []string{"", "0"} {
		if got := printed(t, level); got != "" {
			t.Errorf("level %q printed %s", level, got)
		}
	}
	t.Setenv(debug.Variable, "3")
	if err := debug.Attach(nil, nil); err == nil || !strings.Contains(err.Error(), `AGORA_DEBUG="3": want 0, 1`) {
		t.Errorf("error %v", err)
	}
}

// fewer is a device on which kernels without elements have no time, as on a GPU.
type fewer struct {
	tensor.Backend
	timed func(tensor.Timing)
	calls int
}

func (f *fewer) Time(timed func(tensor.Timing)) { f.timed = timed }

func (f *fewer) Run(k tensor.Kernel, args []tensor.Arg) {
	if f.Backend.Run(k, args); k.(kernels.Copy).Rows > 0 {
		f.timed(tensor.Timing{Kernel: k.Name(), Call: f.calls, Form: k.Name(), Ran: 1})
	}
	f.calls++
}

// A time is that of its own call, not of one of the kernel's that had nothing to do.
func TestCallsWithNothingToDo(t *testing.T) {
	t.Setenv(debug.Variable, "2")
	b, err := cpu.Open(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(&fewer{Backend: b})
	var out strings.Builder
	if err := debug.Attach(d, &out); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 3, 0, 0, 5} {
		d.Run(kernels.Copy{Rows: n, Cols: 1}, d.New(tensor.F32, n+1), d.New(tensor.F32, n+2))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`y f32\[\d+\]`).FindAllString(out.String(), -1)
	if !slices.Equal(got, []string{"y f32[4]", "y f32[6]"}) {
		t.Errorf("printed\n%s", &out)
	}
}
