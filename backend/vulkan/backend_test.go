package vulkan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// kinds are the commands that were submitted, a letter each.
func letters(commands []command) string {
	var b strings.Builder
	for _, c := range commands {
		b.WriteByte("|dc"[c.kind])
	}
	return b.String()
}

func TestCommandsOfAFewCalls(t *testing.T) {
	hw := newNull()
	d := tensor.NewDevice(newBackend(hw, Options{}))
	x, y, z := d.FromFloat32s(tensor.F32, make([]float32, 8), 8), d.New(tensor.F32, 8), d.New(tensor.F32, 8)
	k := kernels.Add{N: 8, M: 8}
	d.Run(k, y, x, x) // behind the upload
	d.Run(k, z, x, x) // beside it
	d.Run(k, x, y, z) // behind both
	if _, err := x.Float32s(); err != nil {
		t.Fatal(err)
	}
	if got, want := letters(hw.submitted), "c|dd|d|c"; got != want {
		t.Errorf("commands %q, want %q", got, want)
	}
	c := hw.submitted[2]
	if c.groups != [3]uint32{1, 1, 1} || c.pushed != 3*8+2*4 ||
		!bytes.Equal(c.push[24:32], []byte{8, 0, 0, 0, 8, 0, 0, 0}) {
		t.Errorf("dispatch %+v", c)
	}
	if len(hw.pipelines) != 1 {
		t.Errorf("%d pipelines, want 1", len(hw.pipelines))
	}
}

func TestPipelinesByDtypeAndConstants(t *testing.T) {
	hw := newNull()
	d := tensor.NewDevice(newBackend(hw, Options{}))
	c, a, b := d.New(tensor.BF16, 2, 3), d.New(tensor.F16, 2, 4), d.New(tensor.F32, 4, 3)
	for range 2 {
		d.Run(kernels.Matmul{Batch: 1, M: 2, N: 3, K: 4, Acc: true}, c, a, b, nil)
	}
	d.Run(kernels.Matmul{Batch: 1, M: 2, N: 3, K: 4}, c, a, b, nil)
	if len(hw.pipelines) != 2 {
		t.Fatalf("%d pipelines, want 2", len(hw.pipelines))
	}
	want := constants{
		6:  1,                      // acc
		16: 2, 17: 1, 18: 0, 19: 0, // T bf16, U f16, V absent, W f32
		32: 0, 35: 0, // c is not optional, no bias
	}
	desc, _ := shaders.Find("matmul")
	copy(want[:], desc.Tiles[0][:])
	if got := hw.pipelines[0]; got != want {
		t.Errorf("constants %v, want %v", got, want)
	}
}

// Uploads larger than the staging memory go in parts, three submissions' worth at once,
// and none of it is overwritten before it has been copied (null.submit looks).
func TestLargeTransfers(t *testing.T) {
	hw := newNull()
	b := newBackend(hw, Options{})
	buf := mustAlloc(t, b, 6*stagingBytes)
	b.Write(buf, 0, make([]byte, 5*stagingBytes+1000))
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	total, end := uint64(0), uint64(0)
	for _, c := range hw.submitted {
		if c.kind != copyCommand || c.toAt != end {
			t.Fatalf("%+v, want a copy to %d", c, end)
		}
		total, end = total+c.n, c.toAt+c.n
	}
	if total != 5*stagingBytes+1000 {
		t.Errorf("%d bytes copied", total)
	}
	if hw.most != slots {
		t.Errorf("%d submissions at once, want %d", hw.most, slots)
	}
	if err := b.Read(tensor.Read{Dst: make([]byte, 2*stagingBytes+5), Src: buf, Offset: 7}); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Several reads behind commands that nobody has submitted are one submission and one wait, as
// long as the staging memory and a submission have room for them.
func TestJoinedReads(t *testing.T) {
	const full = mostBatch - 1 // fills of one tensor, with a barrier between them: one more is submitted
	for _, tt := range []struct {
		name                string
		fills, reads, bytes int
		want                Counts
	}{
		{"two", 3, 2, 4, Counts{Submissions: 1, Waits: 1}},
		{"behind a full batch", full, 2, 4, Counts{Submissions: 1, Waits: 1}},
		{"more than a submission takes", 3, 600, 4, Counts{Submissions: 2, Waits: 2}},
		{"more than the staging memory", 3, 3, stagingBytes/2 + 1<<18, Counts{Submissions: 2, Waits: 2}},
	} {
		b := newBackend(newNull(), Options{})
		b.pace = pace{mostBatch, mostBatch}
		x := tensor.Arg{Buf: mustAlloc(t, b, 8<<20), N: 8, DType: tensor.F32}
		for range tt.fills {
			b.Run(kernels.Fill{N: 8}, []tensor.Arg{x})
		}
		var reads []tensor.Read
		for range tt.reads {
			reads = append(reads, tensor.Read{Dst: make([]byte, tt.bytes), Src: x.Buf})
		}
		if err := b.Read(reads...); err != nil {
			t.Error(err)
		}
		tt.want.Calls, tt.want.Dispatches, tt.want.Barriers = tt.fills, tt.fills, tt.fills
		tt.want.Reads, tt.want.Pipelines = (tt.reads*tt.bytes+stagingBytes-1)/stagingBytes+tt.reads-1, 1
		if got := b.Counts(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A call that a device is too small for is an error that names the limit. Those of memory are
// in memory_test.go.
func TestLimitsAreEnforced(t *testing.T) {
	product := kernels.Matmul{Batch: 5, M: 320, N: 8, K: 8}
	tests := []struct {
		name string
		l    Limits
		k    tensor.Kernel
		want string
	}{
		{"workgroups in x", Limits{Groups: [3]int{3, 9, 9}}, kernels.Add{N: 4096, M: 4096},
			"kernel add: 16 workgroups in dimension 0, the device takes 3"},
		{"workgroups in y", Limits{Groups: [3]int{9, 9, 9}}, product,
			"kernel matmul: 10 workgroups in dimension 1, the device takes 9"},
		{"workgroups in z", Limits{Groups: [3]int{99, 99, 4}}, product,
			"kernel matmul: 5 workgroups in dimension 2, the device takes 4"},
		{"invocations", Limits{Invocations: 32}, product,
			"kernel matmul: 64 invocations in a workgroup, the device takes 32"},
		{"shared memory", Limits{Shared: 4607}, product,
			"kernel matmul: 4608 bytes of shared memory in a workgroup, the device has 4607"},
	}
	for _, tt := range tests {
		run := func(o Options) error {
			d := tensor.NewDevice(newBackend(newNull(), o))
			var args []*tensor.Tensor
			for i, n := range tt.k.Lens(nil) {
				if tt.k.Name() == "matmul" && i == 3 {
					args = append(args, nil) // the bias
					continue
				}
				args = append(args, d.New(tensor.F32, n))
			}
			d.Run(tt.k, args...)
			return d.Close()
		}
		if err := run(Options{Limits: tt.l}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err := run(Options{}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A device with small workgroups gets smaller ones than a kernel's default.
func TestTilesFollowTheDevice(t *testing.T) {
	for limit, want := range map[int]uint32{128: 128, 200: 128, 1024: 256, 64: 64} {
		hw := newNull()
		d := tensor.NewDevice(newBackend(hw, Options{Limits: Limits{Invocations: limit}}))
		d.Run(kernels.SumSquares{N: 8, Block: 8}, d.New(tensor.F32, 1), d.New(tensor.F32, 8))
		if err := d.Flush(); err != nil || hw.pipelines[0][0] != want {
			t.Errorf("limit %d: %+v, %v; want %d invocations", limit, hw.pipelines, err, want)
		}
	}
}

func TestFirstErrorSticks(t *testing.T) {
	hw := newNull()
	b := newBackend(hw, Options{})
	x := mustAlloc(t, b, 64)
	b.Write(x, 0, make([]byte, 8))
	if err := b.Flush(); err != nil { // one submission runs, and Close must wait for it
		t.Fatal(err)
	}
	arg := tensor.Arg{Buf: x, N: 8, DType: tensor.F64}
	b.Run(kernels.Add{N: 8, M: 8}, []tensor.Arg{arg, arg, arg})
	b.Run(kernels.Add{N: -1}, []tensor.Arg{arg, arg, arg})
	b.Write(x, 0, make([]byte, 8))
	first := b.Flush()
	if first == nil || !strings.Contains(first.Error(), "kernel add: y: the shaders read no f64") {
		t.Errorf("error %v", first)
	}
	if err := b.Read(tensor.Read{Dst: make([]byte, 8), Src: x}); err != first {
		t.Errorf("error %v, want %v", err, first)
	}
	if len(hw.submitted) != 1 {
		t.Errorf("%d commands ran after an error", len(hw.submitted)-1)
	}
	if err := b.Close(); err.Error() != first.Error() || !hw.closed {
		t.Errorf("Close: %v", err)
	}
}

func TestLostDevice(t *testing.T) {
	hw := newNull()
	d := tensor.NewDevice(newBackend(hw, Options{}))
	x := d.FromFloat32s(tensor.F32, make([]float32, 8), 8)
	hw.lost = 1
	if _, err := x.Float32s(); !errors.Is(err, ErrLost) {
		t.Errorf("error %v, want %v", err, ErrLost)
	}
	d.Run(kernels.Add{N: 8, M: 8}, d.Like(x), x, x)
	if err := d.Close(); !errors.Is(err, ErrLost) || !hw.closed {
		t.Errorf("Close: %v", err)
	}
}

func TestPace(t *testing.T) {
	tests := []struct {
		batch, n int
		ran      time.Duration
		want     int
	}{
		{16, 16, time.Millisecond, 32},
		{16, 3, time.Millisecond, 16}, // it was no full batch
		{16, 16, 100 * time.Millisecond, 16},
		{16, 3, time.Second, 8},
		{1, 1, time.Second, 1},
		{mostBatch, mostBatch, 0, mostBatch},
	}
	for _, tt := range tests {
		p := pace{batch: tt.batch}
		if p.done(tt.n, tt.ran); p.batch != tt.want {
			t.Errorf("%d of %d commands in %s: next %d, want %d", tt.n, tt.batch, tt.ran, p.batch, tt.want)
		}
	}
}

// A device that has nothing to do gets its first commands soon, and then twice as many each time.
func TestSubmissionsAfterAWaitBeginSmall(t *testing.T) {
	b := newBackend(newNull(), Options{})
	x := tensor.Arg{Buf: mustAlloc(t, b, 64), N: 8, DType: tensor.F32}
	for range 2 {
		b.pace.batch = 100
		for _, want := range []int{16, 32, 64, 100, 100} {
			before := b.Counts().Submissions
			for n := 1; ; n++ {
				b.Run(kernels.Fill{N: 8}, []tensor.Arg{x})
				if b.Counts().Submissions > before {
					if n != want {
						t.Errorf("submitted after %d commands, want %d", n, want)
					}
					break
				}
				if n == want {
					t.Fatalf("nothing was submitted after %d commands", n)
				}
			}
		}
		if b.finish(); b.err != nil {
			t.Fatal(b.err)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Long submissions become short ones.
func TestSubmissionsFollowTheirTimes(t *testing.T) {
	hw := newNull()
	hw.ran = uint64(time.Second)
	b := newBackend(hw, Options{})
	x := mustAlloc(t, b, 64)
	for range 64 {
		b.Write(x, 0, make([]byte, 8))
	}
	if b.pace.batch != 1 {
		t.Errorf("%d commands a submission, want 1", b.pace.batch)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Kernels are told of as they were called, though one may run beside an earlier one, and with the numbers of their calls, of
// which some have nothing to do.
func TestTimedAsCalled(t *testing.T) {
	hw := newNull()
	hw.ran = 6000
	var out bytes.Buffer
	d := tensor.NewDevice(newBackend(hw, Options{Profile: &out}))
	x := d.FromFloat32s(tensor.F32, make([]float32, 8), 8)
	y, z := d.New(tensor.F32, 8), d.New(tensor.F32, 8)
	var told []string
	d.Run(kernels.Copy{Cols: 1}, y, x)
	d.Timed(func(k tensor.Timing) { told = append(told, fmt.Sprint(k.Call, " ", k.Kernel)) })
	for range 2 { // submissions
		d.Run(kernels.Scale{N: 8}, x, x)
		d.Run(kernels.Copy{Cols: 1}, y, x)
		d.Run(kernels.Clamp{N: 8}, y, x)
		d.Run(kernels.Fill{N: 8}, z)
		if _, err := x.Float32s(); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(told, ", "); got != "0 scale, 2 clamp, 3 fill, 4 scale, 6 clamp, 7 fill" {
		t.Errorf("told of %s", got)
	}
	var got struct {
		TraceEvents []struct {
			Name string
			Args struct{ Call int }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var ran []string
	for _, e := range got.TraceEvents {
		ran = append(ran, fmt.Sprint(e.Name, " ", e.Args.Call))
	}
	want := "write 0, scale 2, fill 5, barrier 0, clamp 4, read 0, scale 6, fill 9, barrier 0, clamp 8, read 0"
	if got := strings.Join(ran, ", "); got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
}

func TestProfileIsAChromeTrace(t *testing.T) {
	hw := newNull()
	hw.ran = 6000
	var out bytes.Buffer
	d := tensor.NewDevice(newBackend(hw, Options{Profile: &out}))
	x := d.FromFloat32s(tensor.F32, make([]float32, 8), 8)
	d.Run(kernels.Scale{N: 8}, d.New(tensor.F32, 8), x)
	if _, err := x.Float32s(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	var got struct {
		TraceEvents []struct {
			Name    string
			Ph      string
			Ts, Dur float64
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []string{"write", "barrier", "scale", "read"}
	if len(got.TraceEvents) != len(want) {
		t.Fatalf("%d events: %s", len(got.TraceEvents), &out)
	}
	for i, e := range got.TraceEvents {
		if e.Name != want[i] || e.Ph != "X" || e.Ts != 1.5*float64(i) || e.Dur != 1.5 {
			t.Errorf("event %d: %+v, want %s", i, e, want[i])
		}
	}
}
