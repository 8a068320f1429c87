package multilora

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Subtracting ΔW from a merged weight W' gives back W but for rounding: where W' = W + ΔW
// lost a bit of W, the difference is a neighbor of it. Merge therefore subtracts once,
// looks where that goes wrong and by how much, and keeps that: where |ΔW| is 0.4 |W|, which
// is much, an eighth of what W takes in f32 and a quarter in 16 bits. A copy of W, or the
// model's files, is not needed.

// corrections say how the elements of a weight differ from what subtracting gives.
type corrections struct {
	// steps are pairs of varints: elements that are right, then how many representable
	// numbers the next one is off.
	steps []byte
	sum   uint64 // of the whole weight

	gains []float32 // of DoRA, by which the rows were scaled
	bias  []byte    // of the layer, as it was; nil: Merge left it alone
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// correct compares two weights of elements of so many bytes, 2 or 4.
func correct(almost, original []byte, size int) *corrections {
	c := &corrections{sum: crc64.Checksum(original, crcTable)}
	right := uint64(0)
	for at := 0; at < len(original); at += size {
		off := element(original, at, size) - element(almost, at, size)
		if off == 0 {
			right++
			continue
		}
		c.steps = binary.AppendVarint(binary.AppendUvarint(c.steps, right), off)
		right = 0
	}
	c.steps = slices.Clip(c.steps)
	return c
}

// apply turns what subtracting gave into the weight, and fails if it does not.
func (c *corrections) apply(almost []byte, size int) error {
	steps, at := c.steps, 0
	for len(steps) > 0 {
		right, n := binary.Uvarint(steps)
		off, m := binary.Varint(steps[n:])
		steps, at = steps[n+m:], at+int(right)*size
		if v := element(almost, at, size) + off; size == 2 {
			binary.LittleEndian.PutUint16(almost[at:], uint16(v))
		} else {
			binary.LittleEndian.PutUint32(almost[at:], uint32(v))
		}
		at += size
	}
	if crc64.Checksum(almost, crcTable) != c.sum {
		return errors.New("want the adapter and the merged weight as Merge left them, got others")
	}
	return nil
}

// element is the bits of one element as a number.
func element(b []byte, at, size int) int64 {
	if size == 2 {
		return int64(binary.LittleEndian.Uint16(b[at:]))
	}
	return int64(binary.LittleEndian.Uint32(b[at:]))
}

// subtract gives the bytes of W' - ΔW, computed in f32 and rounded to the storage of W'; with gains, those of DoRA
// [out], of W' / gains - ΔW.
func (l adapted) subtract(delta, gains *tensor.Tensor) ([]byte, error) {
	w := l.base.Weight.Value
	sum := autograd.Const(cast(w, tensor.F32))
	if gains != nil {
		sum = ops.Div(sum, inRows(gains, w.Dim(1)))
	}
	return cast(ops.Sub(sum, autograd.Const(delta)).Tensor(), w.DType()).RawBytes()
}

// Unmerge is the inverse of Merge: every weight is, bit for bit, what it was before, and
// the adapter is attached again. It is an error if another adapter is attached, or if the
// weights or the adapter have changed since; a layer of which that is true stays as it is.
func (a *Adapter) Unmerge() error {
	if a.merged == nil {
		return errors.New("multilora: the adapter is not merged")
	}
	for _, l := range a.layers {
		if other := l.other(nil); other != nil {
			return fmt.Errorf("multilora: layer %s holds a %T: Detach it first", l.name, other)
		}
	}
	for _, e := range a.extras {
		if e.param.Value != e.own.Value {
			return fmt.Errorf("multilora: parameter %s is another adapter's: Detach it first", e.name)
		}
	}
	for _, r := range a.tokens {
		if err := r.check(); err != nil {
			return err
		}
	}
	// The last layer first: after an error a second call goes on where the first one ended.
	for i := len(a.merged) - 1; i >= 0; i-- {
		if err := a.layers[i].unmerge(a.merged[i]); err != nil {
			return fmt.Errorf("multilora: unmerging layer %s: %w", a.layers[i].name, err)
		}
		a.merged = a.merged[:i]
	}
	a.merged = nil
	for _, r := range a.tokens {
		r.unmerge()
	}
	if a.takeBiases != nil {
		a.takeBiases()
		a.takeBiases = nil
	}
	if err := a.unmark(); err != nil {
		return err
	}
	return a.Attach()
}

func (l adapted) unmerge(c *corrections) error {
	w := l.base.Weight.Value
	d := w.Device()
	scope := d.Scope()
	defer scope.Close()
	var gains *tensor.Tensor
	if c.gains != nil {
		gains = d.FromFloat32s(tensor.F32, c.gains, len(c.gains))
	}
	data, err := l.subtract(l.delta(), gains)
	if err != nil {
		return err
	}
	if err := c.apply(data, w.DType().Bytes(1)); err != nil {
		return err
	}
	assign(w, d.FromBytes(w.DType(), data, w.Shape()...))
	if c.bias != nil {
		bias := l.base.Bias.Value
		assign(bias, d.FromBytes(bias.DType(), c.bias, bias.Shape()...))
	}
	return d.Err()
}
