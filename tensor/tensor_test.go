package tensor

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/kernels"
)

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	err := Catch(f)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

func TestScopesFreeAndKeep(t *testing.T) {
	d := NewDevice(&fake{})
	outer := d.Scope()
	a := d.New(F32, 10)
	inner := d.Scope()
	b, c := d.New(F32, 20), d.New(F32, 30)
	view := c.View(5, 3)
	inner.Keep(b)
	inner.Close()
	if !a.Alive() || !b.Alive() || c.Alive() || view.Alive() {
		t.Errorf("alive: a %t, b %t, c %t, view of c %t; want only a and b", a.Alive(), b.Alive(), c.Alive(),
			view.Alive())
	}
	mustPanic(t, "Keep moves a tensor out", func() { view.Reshape(3) })
	outer.Close()
	if b.Alive() {
		t.Error("b was kept out of the inner scope and must end with the outer one")
	}
	if s := d.Stats(); s.Live != 0 || s.Pooled == 0 || s.Peak < 240 {
		t.Errorf("stats %+v, want nothing live, all pooled, a peak of at least 240 bytes", s)
	}
}

// A panic caught by Catch skips the inner scopes' Close.
func TestOuterScopeClosesInnerOnes(t *testing.T) {
	d := NewDevice(&fake{})
	outer := d.Scope()
	var inner *Tensor
	mustPanic(t, "dimension", func() {
		d.Scope()
		inner = d.New(F32, 10)
		d.New(F32, 0)
	})
	outer.Close()
	if inner.Alive() || d.CurrentScope() != nil || d.Stats().Live != 0 {
		t.Errorf("inner tensor alive %t, scope %v, stats %+v", inner.Alive(), d.CurrentScope(), d.Stats())
	}
}

func TestPoolIsUsedAgain(t *testing.T) {
	f := &fake{}
	d := NewDevice(f)
	for range 100 {
		s := d.Scope()
		d.New(F32, 1000)
		d.New(F32, 1001) // the same size class
		s.Close()
	}
	if f.allocs != 2 {
		t.Errorf("%d allocations for two tensors a hundred times", f.allocs)
	}
	s := d.Scope()
	d.New(F32, 600) // fits into a buffer of at most twice its size
	d.New(F32, 400) // does not, and pushes a buffer out
	s.Close()
	if got, want := d.Stats(), (Stats{Pooled: 4096 + 1792, Peak: 2 * 4096, Taken: 2 * 4096}); got != want ||
		f.allocs != 3 {
		t.Errorf("%d allocations, stats %+v, want 3 and %+v", f.allocs, got, want)
	}
}

// Batches of ever other lengths must not pool the buffers of all their sizes.
func TestPoolIsBounded(t *testing.T) {
	d := NewDevice(&fake{})
	for n := 100_000; n > 1000; n = n * 9 / 10 {
		s := d.Scope()
		for range 10 {
			d.New(F32, n)
		}
		s.Close()
		if s := d.Stats(); s.Taken > s.Peak*17/16 {
			t.Fatalf("with tensors of %d elements %d bytes are taken for a peak of %d", n, s.Taken, s.Peak)
		}
	}
}

// On a device that runs kernels side by side memory is used again whose last reader was the earliest, elsewhere
// memory that caches still have.
func TestPoolTakesTheOldestOrTheLast(t *testing.T) {
	const large = 2 * restBytes
	for _, oldest := range []bool{false, true} {
		p := pool{oldest: oldest}
		var got []int
		for i := range 3 {
			p.put(large, i)
		}
		for range 3 {
			buf, _, _ := p.get(large, large)
			got = append(got, buf.(int))
		}
		want := []int{2, 1, 0}
		if oldest {
			slices.Reverse(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("oldest %t: took %v, want %v", oldest, got, want)
		}
	}
}

// A small buffer rests there until others were used, and others of its size do not wait for it.
func TestSmallBuffersRest(t *testing.T) {
	p := pool{oldest: true}
	p.put(256, 0)
	if _, _, ok := p.get(256, 512); ok {
		t.Error("a buffer was taken that was just put")
	}
	for i := range rest {
		p.put(512, i)
	}
	if buf, bytes, ok := p.get(256, 512); !ok || buf.(int) != 0 || bytes != 256 {
		t.Errorf("got buffer %v of %d bytes, %t; want the first", buf, bytes, ok)
	}
}

// What was not used for longest leaves the pool first.
func TestPoolShrinks(t *testing.T) {
	p := pool{}
	for _, size := range []int{256, 1024, 512} {
		p.put(size, size)
		p.put(size, size)
	}
	if _, bytes, ok := p.get(256, 1<<10); !ok || bytes != 256 {
		t.Fatalf("got %d bytes, %t", bytes, ok)
	}
	var freed []int
	p.shrink(1000, func(b Buffer) { freed = append(freed, b.(int)) })
	if want := []int{1024, 1024, 512}; !slices.Equal(freed, want) || p.bytes != 768 {
		t.Errorf("freed %v, %d bytes left; want %v and 768", freed, p.bytes, want)
	}
}

// The collector may be late on a busy machine, but not in one attempt after the other.
func TestCollectorGivesMemoryBack(t *testing.T) {
	least := math.MaxInt
	for range 5 {
		d := NewDevice(&fake{})
		for range 200 {
			d.New(F32, 1<<20) // 4 MiB, unreachable at once
		}
		for end := time.Now().Add(time.Minute); d.Stats().Live != 0; time.Sleep(time.Millisecond) {
			if runtime.GC(); time.Now().After(end) {
				t.Fatalf("%d bytes live after collection", d.Stats().Live)
			}
		}
		if least = min(least, d.Stats().Peak); least <= 400<<20 {
			return
		}
	}
	t.Errorf("peak %d MiB of 800 made", least>>20)
}

func TestFailedAllocationFreesTheReserveFirst(t *testing.T) {
	d := NewDevice(&fake{limit: 5000})
	s := d.Scope()
	d.New(F32, 512) // 2048 bytes
	s.Close()
	f := d.b.(*fake)
	f.used = 0 // what Trim would have given back
	if d.New(F32, 1024); d.Err() != nil {
		t.Fatal(d.Err())
	}
	bad := d.New(F32, 1024)
	if !errors.Is(d.Err(), ErrOutOfMemory) || !strings.Contains(d.Err().Error(), "4096 bytes for a tensor") {
		t.Fatalf("error %v", d.Err())
	}
	d.Run(kernels.Fill{N: 1024}, bad)
	if len(f.ran) != 0 {
		t.Error("a kernel ran after the device had failed")
	}
	if _, err := bad.Float32s(); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("read after the failure gave %v", err)
	}
}

// Float64s of a device waits once, and gives each tensor's numbers as reading it alone does.
func TestReadingSeveralTensors(t *testing.T) {
	f := &fake{}
	d := NewDevice(f)
	wide := d.FromFloat64s(F64, []float64{0.1, -1e300}, 2)
	q8 := d.FromFloat32s(Q8, make([]float32, 32), 32)
	q8.SetBytes(append([]byte{0, 0x3c}, bytes.Repeat([]byte{0xfe}, 32)...)) // a scale of 1, every number -2
	ts := []*Tensor{wide, d.FromFloat32s(F32, []float32{1.5, 2.5, 3.5}, 3).View(1, 2),
		d.FromFloat32s(BF16, []float32{-3}, 1), d.FromFloat32s(F16, []float32{0.5}, 1), q8}
	got, err := d.Float64s(ts...)
	if err != nil || f.waits != 1 {
		t.Fatalf("%d waits, error %v", f.waits, err)
	}
	for i, want := range [][]float64{{0.1, -1e300}, {2.5, 3.5}, {-3}, {0.5}, slices.Repeat([]float64{-2}, 32)} {
		alone, err := ts[i].Float64s()
		if err != nil || !slices.Equal(got[i], want) || !slices.Equal(alone, want) {
			t.Errorf("%s is %v, alone %v (%v), want %v", ts[i], got[i], alone, err, want)
		}
	}
	other := NewDevice(&fake{}).New(F32, 1)
	for want, bad := range map[string]*Tensor{"another device": other, "not a float tensor": d.New(I32, 1)} {
		if err := Catch(func() { _, _ = d.Float64s(wide, bad) }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reading %s: %v, want %q", bad, err, want)
		}
	}
	f.fail = errors.New("lost")
	if _, err := d.Float64s(ts...); err == nil || !strings.Contains(err.Error(), "reading [f64[2] f32[2]") ||
		d.Err() != err {
		t.Errorf("error %v, the device's %v", err, d.Err())
	}
}

// What a failed device hands out has no memory that could come back.
func TestTensorsOfAFailedDeviceAreKept(t *testing.T) {
	d := NewDevice(&fake{})
	d.SetErr(errors.New("lost"))
	for range 100 {
		s := d.Scope()
		s.Keep(d.New(F32, 10))
		s.Close()
	}
	for range 5 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if err := d.Close(); err == nil || err.Error() != "lost" {
		t.Errorf("closing gave %v", err)
	}
}

func TestClosedDevice(t *testing.T) {
	f := &fake{}
	d := NewDevice(f)
	d.Poison(true)
	s := d.Scope()
	x, loose := d.FromFloat32s(F32, []float32{1}, 1), d.New(F32, 1)
	s.Keep(loose)
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if f.closed != 1 {
		t.Errorf("the backend was closed %d times", f.closed)
	}
	if _, err := x.Float32s(); !errors.Is(err, ErrClosed) {
		t.Errorf("reading gave %v", err)
	}
	if err := d.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("flush gave %v", err)
	}
	d.Run(kernels.Fill{N: 1}, x)
	d.New(F32, 3).SetFloat32s([]float32{1, 2, 3})
	loose.Free("test")
	s.Close()
	d.Trim()
	if len(f.ran) != 0 || f.touched != 0 {
		t.Errorf("the closed backend ran %v and wrote %d times", f.ran, f.touched)
	}
}

func TestFirstErrorSticks(t *testing.T) {
	first := errors.New("first")
	f := &fake{fail: first}
	d := NewDevice(f)
	if err := d.Flush(); err != first {
		t.Fatal(err)
	}
	f.fail = nil
	if d.SetErr(errors.New("second")); d.Flush() != first {
		t.Errorf("error is %v, want the first", d.Err())
	}
}

func TestRunChecksArguments(t *testing.T) {
	d, other := NewDevice(&fake{}), NewDevice(&fake{})
	x, y, bias := d.New(F32, 4, 3), d.New(F32, 4, 3), d.New(F32, 3)
	ids, half := d.New(I32, 4), d.New(BF16, 4, 3)
	add := kernels.Add{N: 12, M: 3}
	for name, c := range map[string]struct {
		k    Kernel
		args []*Tensor
		want string
	}{
		"too few":        {add, []*Tensor{y, x}, "2 arguments for the 3 bindings"},
		"nil":            {add, []*Tensor{y, x, nil}, "argument 2 (b) is nil"},
		"integers":       {add, []*Tensor{y, x, ids}, "want floats"},
		"floats":         {kernels.Embedding{Rows: 4, Dim: 3, Vocab: 4}, []*Tensor{y, x, d.New(F32, 4)}, "want i32"},
		"letter":         {add, []*Tensor{y, half, bias}, "want f32"},
		"size":           {add, []*Tensor{y, x, d.New(F32, 4)}, "want 3 elements"},
		"device":         {add, []*Tensor{y, other.New(F32, 4, 3), bias}, "another device"},
		"overlap":        {add, []*Tensor{x, y, x.View(3, 3)}, "shares memory"},
		"shifted":        {kernels.Scale{N: 6}, []*Tensor{x.View(0, 6), x.View(1, 6)}, "shares memory"},
		"quantized":      {kernels.Scale{N: 32}, []*Tensor{d.New(F32, 32), d.New(Q8, 32)}, "only a weight"},
		"past 32 bits":   {kernels.Add{N: 1 << 33, M: 1}, []*Tensor{y, x, bias}, "add"},
		"negative width": {kernels.Add{N: -1, M: 1}, []*Tensor{y, x, bias}, "add"},
	} {
		t.Run(name, func(t *testing.T) { mustPanic(t, c.want, func() { d.Run(c.k, c.args...) }) })
	}
	d.Run(add, x, x, bias) // in place, as the header allows
	x.Free("test")
	mustPanic(t, "gone: test", func() { d.Run(add, y, x, bias) })
}

func TestReshapeAndView(t *testing.T) {
	d := NewDevice(&fake{})
	x := d.FromFloat32s(F32, []float32{0, 1, 2, 3, 4, 5}, 2, 3)
	if s := x.Reshape(3, -1).Shape(); !slices.Equal(s, []int{3, 2}) {
		t.Errorf("reshape gave %v", s)
	}
	if got, err := x.View(2, 2, 1).Float32s(); err != nil || !slices.Equal(got, []float32{2, 3}) {
		t.Errorf("view gave %v, %v", got, err)
	}
	mustPanic(t, "do not fit", func() { x.Reshape(4, -1) })
	mustPanic(t, "do not fit", func() { x.Reshape(7) })
	mustPanic(t, "2 elements from 5 on", func() { x.View(5, 2) })
	mustPanic(t, "dimension 0", func() { d.New(F32, 3, 0) })
	mustPanic(t, "too many elements", func() { d.New(F32, 1<<40, 1<<40) })
	mustPanic(t, "too many elements", func() { x.Reshape(-1, 1<<32, 1<<32) })
	mustPanic(t, "of f32[2 3]", func() { x.View(math.MaxInt, 2) })
}

// Every write grows the version of all tensors of a memory, by a kernel and from the host; reading does not.
func TestVersionCountsWrites(t *testing.T) {
	d := NewDevice(&fake{})
	x, other := d.New(F32, 8), d.New(F32, 8)
	view, was := x.View(4, 4), x.Version()
	grown := func(what string, want bool) {
		t.Helper()
		if v := view.Version(); v > was != want || v != x.Version() {
			t.Errorf("%s: version %d, of a view %d, before %d", what, x.Version(), v, was)
		}
		was = x.Version()
	}
	x.View(0, 4).SetFloat32s(make([]float32, 4))
	grown("written from the host", true)
	d.Run(kernels.Cast{N: 4}, x.View(0, 4), other.View(0, 4))
	grown("written by a kernel", true)
	d.Run(kernels.Cast{N: 8}, other, x)
	grown("read by a kernel", false)
	if _, err := x.Float32s(); err != nil {
		t.Fatal(err)
	}
	grown("read", false)
}

func TestJoinedAndWhole(t *testing.T) {
	d := NewDevice(&fake{})
	x := d.New(F32, 30)
	a, b, c := x.View(2, 2, 3), x.View(8, 4, 3), x.View(20, 2, 3)
	all, ok := Joined(a, b, c)
	if !ok || !all.HasShape(8, 3) || all.Memory() != x.Memory() {
		t.Errorf("joined %v, %t", all, ok)
	}
	if whole, at := all.Whole(); at != 2 || whole.Rank() != 1 || whole.Numel() < 30 || whole.Memory() != x.Memory() {
		t.Errorf("the whole is %v, from its element %d", whole, at)
	}
	for name, list := range map[string][]*Tensor{
		"nothing": nil, "a gap": {a, c}, "the wrong order": {b, a}, "other rows": {a, x.View(8, 3, 4)},
		"another memory": {a, d.New(F32, 4, 3)}, "one twice": {a, a},
	} {
		if joined, ok := Joined(list...); ok {
			t.Errorf("%s: joined %v", name, joined)
		}
	}
}

func TestHostConversions(t *testing.T) {
	d := NewDevice(&fake{})
	data := []float32{0, 1, -2.5, 65504, 1e-7, float32(math.Inf(-1))}
	for dt, want := range map[DType][]float32{
		F32:  data,
		F64:  data,
		BF16: {0, 1, -2.5, 65536, 1.0011718e-07, float32(math.Inf(-1))},
		F16:  {0, 1, -2.5, 65504, 1.1920929e-07, float32(math.Inf(-1))},
	} {
		x := d.FromFloat32s(dt, data, 6)
		got, err := x.Float32s()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v (%v)", dt, got, want, err)
		}
		clear(got)
		if err := x.ReadFloat32s(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s into memory of the caller's: %v, want %v (%v)", dt, got, want, err)
		}
		mustPanic(t, "into 5 numbers: want 6", func() { _ = x.ReadFloat32s(got[:5]) })
	}
	if got, err := d.FromInt32s([]int32{3, -4}, 2).Int32s(); err != nil || !slices.Equal(got, []int32{3, -4}) {
		t.Errorf("i32: %v %v", got, err)
	}
	mustPanic(t, "3 elements", func() { d.FromFloat32s(F32, make([]float32, 3), 2) })
}

func TestDTypeNames(t *testing.T) {
	for d := range Q6_K + 1 {
		if got, err := ParseDType(d.String()); err != nil || got != d {
			t.Errorf("%s: %v, %v", d, got, err)
		}
	}
	if _, err := ParseDType("q5"); err == nil || !strings.Contains(err.Error(), "want one of f32") {
		t.Errorf("q5: %v", err)
	}
	for d, want := range map[DType]int{F32: 1024, BF16: 512, Q8: 272, Q4: 144, Q4_1: 160, Q5_0: 176, Q5_1: 192,
		IQ4_NL: 144, Q4_K: 144, Q5_K: 176, Q6_K: 210} {
		if got := d.Bytes(256); got != want {
			t.Errorf("%s: %d bytes for 256, want %d", d, got, want)
		}
	}
	mustPanic(t, "whole number of q8 blocks", func() { Q8.Bytes(33) })
}
