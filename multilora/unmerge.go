package multilora

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// Subtracting ΔW from a merged weight W' gives back W but for rounding: where W' = W + ΔW
// lost a bit of W, the difference is another number. Merge therefore subtracts once, looks
// where that goes wrong and keeps the original elements of these places only: of 16-bit
// weights few, of f32 weights those that are small beside their ΔW. A copy of W, or the
// model's files, is not needed.

// corrections are the elements of a weight that subtracting ΔW does not bring back.
type corrections struct {
	index    []uint32
	original []byte // the elements as they are stored, one after the other
	sum      uint64 // of the whole weight
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// correct compares two weights of elements of so many bytes.
func correct(almost, original []byte, size int) *corrections {
	c := &corrections{sum: crc64.Checksum(original, crcTable)}
	for at := 0; at < len(original); at += size {
		if e := original[at : at+size]; !bytes.Equal(almost[at:at+size], e) {
			c.index, c.original = append(c.index, uint32(at/size)), append(c.original, e...)
		}
	}
	return c
}

// apply puts the elements back, and fails if that does not give the whole weight.
func (c *corrections) apply(almost []byte) error {
	size := len(c.original) / max(len(c.index), 1)
	for i, at := range c.index {
		copy(almost[int(at)*size:], c.original[i*size:(i+1)*size])
	}
	if crc64.Checksum(almost, crcTable) != c.sum {
		return errors.New("want the adapter and the merged weight as Merge left them, got others")
	}
	return nil
}

// subtract gives the bytes of W' - ΔW, computed in f32 and rounded to the storage of W'.
func (l adapted) subtract(delta *tensor.Tensor) ([]byte, error) {
	w := l.base.Weight.Value
	d, n := w.Device(), w.Numel()
	x, rounded := d.New(tensor.F32, w.Shape()...), d.Like(w)
	d.Run(shaders.Cast{N: n}, x, w)
	d.Run(shaders.Sub{N: n, M: n}, x, x, delta)
	d.Run(shaders.Cast{N: n}, rounded, x)
	return rounded.RawBytes()
}

// Unmerge is the inverse of Merge: every weight is, bit for bit, what it was before, and
// the adapter is attached again. It is an error if another adapter is attached, or if the
// weights or the adapter have changed since; a layer of which that is true stays as it is.
func (a *Adapter) Unmerge() error {
	if a.merged == nil {
		return errors.New("multilora: the adapter is not merged")
	}
	for _, l := range a.layers {
		if *l.layer != nn.Layer(l.base) {
			return fmt.Errorf("multilora: layer %s holds a %T: Detach it first", l.name, *l.layer)
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
	return a.Attach()
}

func (l adapted) unmerge(c *corrections) error {
	w := l.base.Weight.Value
	d := w.Device()
	scope := d.Scope()
	defer scope.Close()
	data, err := l.subtract(l.delta())
	if err != nil {
		return err
	}
	if err := c.apply(data); err != nil {
		return err
	}
	d.Run(shaders.Cast{N: w.Numel()}, w, d.FromBytes(w.DType(), data, w.Shape()...))
	return d.Err()
}
