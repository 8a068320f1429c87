package bench

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// The weights are random, not zero or all alike, and those of a row differ from the next row's.
func TestRandomModel(t *testing.T) {
	d, err := device.OpenWith("cpu", device.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	shape := tinyShape()
	shape.Hidden, shape.Intermediate, shape.HeadDim, shape.QKVBias, shape.Vocab = 64, 96, 32, true,
		40000 // more than the stock
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.Q8, tensor.Q4} {
		m, err := randomModel(d, shape, llama.LoadOptions{DType: dt})
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range nn.Params(m) {
			values, err := p.Value.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			mean, square := 0.0, 0.0
			for _, v := range values {
				mean += float64(v) / float64(len(values))
				square += float64(v) * float64(v) / float64(len(values))
			}
			switch {
			case strings.HasSuffix(name, ".bias"):
				if mean != 0 || square != 0 {
					t.Errorf("%s %s: mean %v, mean square %v, want zeros", dt, name, mean, square)
				}
			case p.Value.Rank() == 1:
				if mean != 1 || square != 1 {
					t.Errorf("%s %s: mean %v, mean square %v, want ones", dt, name, mean, square)
				}
			default:
				width := p.Value.Dim(1)
				if math.Abs(mean) > 0.002 || math.Abs(math.Sqrt(square)/0.02-1) > 0.1 ||
					reflect.DeepEqual(values[:width], values[width:2*width]) {
					t.Errorf("%s %s: mean %v, deviation %v", dt, name, mean, math.Sqrt(square))
				}
			}
			if !p.Frozen {
				t.Errorf("%s %s trains", dt, name)
			}
		}
	}
}

// Of a device's trace, the commands of the measured steps count, kernels with the
// shapes that they were asked for with, whatever the order in which they ran, barriers and copies beside them.
func TestTimestamps(t *testing.T) {
	event := func(name, us string, call ...int) string {
		text := `{"name": "` + name + `", "ph": "X", "ts": 0, "dur": ` + us
		for _, n := range call {
			text += fmt.Sprintf(`, "args": {"call": %d}`, n)
		}
		return text + "}"
	}
	text := `{"traceEvents": [` + strings.Join([]string{
		event("matmul", "1000", 1), event("write", "5"), // before
		event("write", "2"), event("matmul_coopmat", "30", 7), event("matmul", "10", 4), event("barrier", "3"), event("add", "4", 6),
		event("read", "1"), // the end of the steps
		event("matmul", "1000", 8),
	}, ",") + `]}`
	// A call before the steps, the first of theirs and the mul had nothing to do.
	calls := []call{{name: "matmul", shape: "NN 0 x 2 x 3"}, {name: "matmul", shape: "NT 1 x 2 x 3", flops: 4e4}, {name: "mul"},
		{name: "add"}, {name: "matmul", shape: "NN 3 x 2 x 1", flops: 6e5}}
	c := clock{counts: func() vulkan.Counts { return vulkan.Counts{} }, profile: bytes.NewBufferString(text),
		calls: calls, asked: 2, from: 2, to: 8}
	got, err := c.times(2)
	if err != nil {
		t.Fatal(err)
	}
	want := []KernelTime{
		{Name: "matmul_coopmat", Milliseconds: 0.015, Share: 0.6, Calls: 0.5, TFLOPS: 3e5 / 0.015 / 1e9,
			Shapes: []KernelTime{
				{Name: "NN 3 x 2 x 1", Milliseconds: 0.015, Share: 0.6, Calls: 0.5, TFLOPS: 3e5 / 0.015 / 1e9},
			}},
		{Name: "matmul", Milliseconds: 0.005, Share: 0.2, Calls: 0.5, TFLOPS: 2e4 / 0.005 / 1e9, Shapes: []KernelTime{
			{Name: "NT 1 x 2 x 3", Milliseconds: 0.005, Share: 0.2, Calls: 0.5, TFLOPS: 2e4 / 0.005 / 1e9},
		}},
		{Name: "add", Milliseconds: 0.002, Share: 0.08, Calls: 0.5},
		{Name: "barrier", Milliseconds: 0.0015, Share: 0.06, Calls: 0.5},
		{Name: "write", Milliseconds: 0.001, Share: 0.04, Calls: 0.5},
		{Name: "read", Milliseconds: 0.0005, Share: 0.02, Calls: 0.5},
	}
	if g, w := table(got), table(want); g != w {
		t.Errorf("got\n%swant\n%s", g, w)
	}
	c.to = 10
	if _, err := c.times(2); err == nil || !strings.Contains(err.Error(), "want 10 events, got 9") {
		t.Errorf("with too few events: %v", err)
	}
}

// table has a line for every kernel and shape, rounded.
func table(list []KernelTime) string {
	var b strings.Builder
	for _, k := range list {
		fmt.Fprintf(&b, "%s %.4f ms, %.4f of all, %.2f calls, %.6f TFLOP/s\n%s", k.Name, k.Milliseconds, k.Share,
			k.Calls, k.TFLOPS, table(k.Shapes))
	}
	return b.String()
}
