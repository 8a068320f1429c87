package cpu

import (
	"fmt"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// float is what the plain loops compute in: float32, or float64 where the gradients
// are checked.
type float interface{ float32 | float64 }

// work is what a kernel computes with.
type work struct {
	team    *parallel.Team
	gemm    *gemm.Engine
	scratch []scratch // of each worker
	shared  scratch   // of the whole kernel
	plain   bool
}

// args are the arguments of a kernel in the order of its bindings: f[i] if binding i
// holds floats, i[i] if it holds indices, both nil for an optional one not given.
type args[F float] struct {
	f [][]F
	i [][]int32
}

// implementations of one kernel.
type implementations struct {
	f32, f64 func(w *work, k tensor.Kernel, a []tensor.Arg)
	anyType  func(w *work, k tensor.Kernel, a []tensor.Arg) // instead of the two, for kernels about dtypes
	fast     []func(w *work, k tensor.Kernel, a []tensor.Arg) bool
}

var implemented = map[string]*implementations{}

func implementationsOf(name string) *implementations {
	if implemented[name] == nil {
		implemented[name] = &implementations{}
	}
	return implemented[name]
}

// plain registers a kernel's specification.
func plain[K tensor.Kernel](f32 func(*work, K, args[float32]), f64 func(*work, K, args[float64])) {
	var k K
	im := implementationsOf(k.Name())
	if im.f32 != nil {
		panic("cpu: two specifications of " + k.Name())
	}
	im.f32 = func(w *work, k tensor.Kernel, a []tensor.Arg) { f32(w, k.(K), slices[float32](a)) }
	im.f64 = func(w *work, k tensor.Kernel, a []tensor.Arg) { f64(w, k.(K), slices[float64](a)) }
}

// plainAnyType registers a specification that takes all dtypes as they are.
func plainAnyType[K tensor.Kernel](f func(*work, K, []tensor.Arg)) {
	var k K
	implementationsOf(k.Name()).anyType = func(w *work, k tensor.Kernel, a []tensor.Arg) { f(w, k.(K), a) }
}

// fast registers a faster version. It looks at the arguments' dtypes and the sizes
// and returns false, having written nothing, for a call it does not cover.
func fast[K tensor.Kernel](f func(w *work, k K, a []tensor.Arg) bool) {
	var k K
	im := implementationsOf(k.Name())
	im.fast = append(im.fast, func(w *work, k tensor.Kernel, a []tensor.Arg) bool { return f(w, k.(K), a) })
}

// Run computes one kernel: by a fast version if one covers the call, else by the
// plain loops. Where nothing covers 16-bit or quantized arguments, they are widened to
// f32 before and rounded after.
func (b *backend) Run(k tensor.Kernel, a []tensor.Arg) {
	if b.err != nil {
		return
	}
	im := implemented[k.Name()]
	if im == nil || im.f32 == nil && im.anyType == nil {
		b.err = fmt.Errorf("cpu: kernel %s has no function here: cpu.Register gives it one", k.Name())
		return
	}
	if b.clock.off() {
		b.run(im, k, a)
		return
	}
	b.clock.measure(k, func() bool { return b.run(im, k, a) })
}

// run reports whether a fast version was there.
func (b *backend) run(im *implementations, k tensor.Kernel, a []tensor.Arg) (quick bool) {
	if b.runFast(im, k, a) {
		return true
	}
	if im.anyType != nil {
		im.anyType(&b.work, k, a)
		return false
	}
	wide, f64 := false, false
	for _, x := range a {
		wide = wide || !x.IsNil() && needsWidening(x.DType)
		f64 = f64 || !x.IsNil() && x.DType == tensor.F64
	}
	switch {
	case wide && f64:
		b.err = fmt.Errorf("cpu: %s mixes f64 with 16-bit or quantized arguments", k.Name())
	case wide:
		return b.runWidened(im, k, a)
	case f64:
		im.f64(&b.work, k, a)
	default:
		im.f32(&b.work, k, a)
	}
	return false
}

func (b *backend) runFast(im *implementations, k tensor.Kernel, a []tensor.Arg) bool {
	if b.work.plain {
		return false
	}
	for _, f := range im.fast {
		if f(&b.work, k, a) {
			return true
		}
	}
	return false
}

// needsWidening reports whether the plain loops cannot read dt.
func needsWidening(dt tensor.DType) bool { return dt.Is16Bit() || dt.IsQuantized() }

// runWidened computes in f32 what has 16-bit or quantized arguments. A weight stays as it is where
// a fast version reads it so: it may be larger than all the others.
func (b *backend) runWidened(im *implementations, k tensor.Kernel, a []tensor.Arg) (quick bool) {
	if b.runPieces(k, a) {
		return true
	}
	contract, _ := shaders.Find(k.Name())
	bindings := contract.Args
	wide := append([]tensor.Arg(nil), a...)
	widenWhere := func(weight bool) {
		for i, x := range a {
			if x.IsNil() || !needsWidening(x.DType) || weight != (bindings[i].Letter == 'W') {
				continue
			}
			if wide[i] = b.wideBuffer(i, x.N); b.err != nil {
				b.err = fmt.Errorf("cpu: widening an argument of %s: %w", k.Name(), b.err)
				return
			}
			if bindings[i].Read {
				widen(&b.work, f32s(wide[i]), x)
			}
		}
	}
	widenWhere(false)
	if b.err != nil {
		return false
	}
	if quick = b.runFast(im, k, wide); !quick {
		if widenWhere(true); b.err != nil {
			return false
		}
		if quick = b.runFast(im, k, wide); !quick {
			im.f32(&b.work, k, wide)
		}
	}
	for i, x := range a {
		if !x.IsNil() && x.DType.Is16Bit() && bindings[i].Written {
			narrow(&b.work, x, f32s(wide[i]))
		}
	}
	return quick
}

// wideBuffer is memory for argument i in f32. It is kept for the next call, because
// fresh pages cost more than widening.
func (b *backend) wideBuffer(i, n int) tensor.Arg {
	if len(b.wide) <= i {
		b.wide = append(b.wide, make([]*buffer, i+1-len(b.wide))...)
	}
	if old := b.wide[i]; old == nil || len(old.data) < 4*n {
		if old != nil {
			b.wide[i] = nil
			b.memory.free(old)
		}
		buf, err := b.memory.alloc(4 * n)
		if err != nil && b.reclaim != nil {
			b.reclaim()
			buf, err = b.memory.alloc(4 * n)
		}
		if err != nil {
			b.err = err
			return tensor.Arg{}
		}
		b.wide[i] = buf
	}
	return tensor.Arg{Buf: b.wide[i], N: n, DType: tensor.F32}
}

// slices gives every argument as a slice of its own type.
func slices[F float](a []tensor.Arg) args[F] {
	s := args[F]{f: make([][]F, len(a)), i: make([][]int32, len(a))}
	for i, x := range a {
		switch {
		case x.IsNil():
		case x.DType == tensor.I32:
			s.i[i] = elements[int32](x)
		default:
			s.f[i] = elements[F](x)
		}
	}
	return s
}

// elements is an argument as a slice; E must be the type its dtype is stored in.
func elements[E any](x tensor.Arg) []E {
	var e E
	if x.DType.Bytes(1) != int(unsafe.Sizeof(e)) {
		panic(fmt.Sprintf("cpu: %s read as elements of %d bytes", x.DType, unsafe.Sizeof(e)))
	}
	data := x.Buf.(*buffer).data[x.Offset:]
	return unsafe.Slice((*E)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/int(unsafe.Sizeof(e)))[:x.N:x.N]
}

// blocksOf is elements [lo, hi) of a quantized argument, which are whole blocks.
func blocksOf(x tensor.Arg, lo, hi int) []byte {
	return x.Buf.(*buffer).data[x.Offset:][x.DType.Bytes(lo):x.DType.Bytes(hi)]
}

func f32s(x tensor.Arg) []float32 { return elements[float32](x) }

// allF32 reports whether every given argument, indices apart, is f32: what most fast
// versions cover.
func allF32(a []tensor.Arg) bool {
	for _, x := range a {
		if !x.IsNil() && x.DType != tensor.F32 && x.DType != tensor.I32 {
			return false
		}
	}
	return true
}
