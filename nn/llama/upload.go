package llama

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/tensor"
)

// storageType is how a parameter is stored where dt is asked for. q8 and q4 are for
// matrices whose rows are whole blocks; everything else, norms and biases above all,
// routers of experts, then stays f32. With q4 and nf4 the embedding and the head are q8, because their errors go
// straight to the logits.
func storageType(dt tensor.DType, name string, shape []int) tensor.DType {
	switch {
	case !dt.IsQuantized():
		return dt
	case isRouter(name): // its errors choose other experts
		return tensor.F32
	case len(shape) != 2 || shape[1]%tensor.Q8.BlockLen() != 0:
		return tensor.F32
	case shape[1]%dt.BlockLen() != 0: // of q4_k or nf4, but not of q8
		return tensor.Q8
	case name != embeddingName && name != headName:
		return dt
	case dt == tensor.Q4_K:
		return tensor.Q6_K
	}
	return tensor.Q8
}

// loadedType is storageType for a tensor of a file, if not its own type: one in blocks of fewer bits than q8's stays in them
// where q8 or q4 is asked for. Other blocks would add bytes and no information, or lose some of what its
// quantizer took care to keep. So does a matrix that was left as it was when the others were quantized.
func (o LoadOptions) loadedType(name string, t info) tensor.DType {
	dt := o.DType
	if o.AsStored {
		if t.DType.IsQuantized() || len(t.Shape) == 2 && t.DType.Is16Bit() {
			return t.DType
		}
		return tensor.F32
	}
	if dt.IsQuantized() && t.Chosen && len(t.Shape) == 2 && (t.DType.Is16Bit() || t.DType == tensor.F32) {
		return t.DType
	}
	if dt.IsQuantized() && t.DType.IsQuantized() && t.DType != tensor.Q8 {
		return t.DType
	}
	return storageType(dt, name, t.Shape)
}

// upload gives y, on the device, the numbers of a tensor of a file.
func upload(ctx context.Context, y *tensor.Tensor, t stored) error {
	d, dt := y.Device(), y.DType()
	if t.DType.IsQuantized() {
		if err := t.DType.CheckBlocks(t.Data); err != nil {
			return err
		}
	}
	switch {
	case t.DType == dt:
		y.SetBytes(t.Data)
		return nil
	case t.DType.IsQuantized() || dt.IsQuantized():
		return convert(ctx, y, t)
	}
	scope := d.Scope()
	defer scope.Close()
	d.Run(kernels.Cast{N: y.Numel()}, y, d.FromBytes(t.DType, t.Data, t.Shape...))
	return nil
}

// convertPiece is how many elements convert holds as float32 at a time.
const convertPiece = 1 << 20

// convert is upload by way of float32 on the host, in pieces.
func convert(ctx context.Context, y *tensor.Tensor, t stored) error {
	dt := y.DType()
	values := make([]float32, min(convertPiece, y.Numel()))
	var blocks []byte
	if dt.IsQuantized() {
		blocks = make([]byte, dt.Bytes(len(values)))
	}
	for from := 0; from < y.Numel(); from += convertPiece {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n := min(convertPiece, y.Numel()-from)
		err := inParts(n, func(lo, hi int) error {
			t.DType.Decode(values[lo:hi], t.Data[t.DType.Bytes(from+lo):t.DType.Bytes(from+hi)])
			if !dt.IsQuantized() {
				return nil
			}
			_, err := dt.Quantize(blocks[:dt.Bytes(lo)], values[lo:hi])
			if bad := (*quant.ScaleError)(nil); errors.As(err, &bad) {
				bad.At += from + lo
			}
			return err
		})
		if err != nil {
			return err
		}
		if part := y.View(from, n); dt.IsQuantized() {
			part.SetBytes(blocks[:dt.Bytes(n)])
		} else {
			part.SetFloat32s(values[:n])
		}
	}
	return nil
}

// partStep is a whole number of blocks of every type.
const partStep = 256

// inParts calls f for parts of n elements on all processors; parts begin at multiples of
// partStep.
func inParts(n int, f func(lo, hi int) error) error {
	workers := runtime.GOMAXPROCS(0)
	size := (n/workers/partStep + 1) * partStep
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		lo, hi := min(i*size, n), min((i+1)*size, n)
		wg.Go(func() { errs[i] = mapped.Guard(func() error { return f(lo, hi) }) })
	}
	wg.Wait()
	for _, err := range errs {
		if errors.Is(err, mapped.ErrCutShort) {
			return err
		}
		if err != nil {
			return fmt.Errorf("want numbers that can be quantized: %w", err)
		}
	}
	return nil
}
