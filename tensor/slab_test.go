package tensor_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

// Tensors of several types lie over a slab's bytes, which a device of the process's memory shows.
func TestSlab(t *testing.T) {
	d := testdevice.Open(t, 1)
	before := d.Stats().Live
	s := d.NewSlab(2*tensor.SlabAlign + 17*4)
	if got := d.Stats().Live - before; got != 3*tensor.SlabAlign || s.Len() != 2*tensor.SlabAlign+17*4 {
		t.Errorf("%d bytes are live for %d", got, s.Len())
	}
	data := make([]byte, s.Len())
	for i := range data {
		data[i] = byte(i * 7)
	}
	fill(t, s, data)
	f, h := s.Tensor(2*tensor.SlabAlign, tensor.F32, 17), s.Tensor(tensor.SlabAlign, tensor.BF16, 2, 8)
	for at, x := range map[int]*tensor.Tensor{2 * tensor.SlabAlign: f, tensor.SlabAlign: h} {
		if got, err := x.RawBytes(); err != nil || !bytes.Equal(got, data[at:at+x.Bytes()]) {
			t.Errorf("%s has other bytes (%v)", x, err)
		}
	}
	h.SetFloat32s(slices.Repeat([]float32{1}, 16))
	if all := s.Bytes(); d.KeepsScratch() {
		if len(all) != s.Len() || !bytes.Equal(all[tensor.SlabAlign:tensor.SlabAlign+2], []byte{0x80, 0x3f}) ||
			!bytes.Equal(all[:tensor.SlabAlign], data[:tensor.SlabAlign]) {
			t.Error("the memory is another than the tensors'")
		}
	} else if all != nil {
		t.Error("a device with memory of its own shows it")
	}
	for _, wrong := range []func(){
		func() { s.Tensor(1, tensor.F32, 1) },
		func() { s.Tensor(2*tensor.SlabAlign, tensor.F32, 18) },
		func() { s.Tensor(-tensor.SlabAlign, tensor.F32, 1) },
		func() { s.Fill(s.Len() + 1) },
		func() { d.NewSlab(0) },
	} {
		if tensor.Catch(wrong) == nil {
			t.Error("want a panic")
		}
	}
}

// fill replaces a slab's first bytes.
func fill(t *testing.T, s *tensor.Slab, data []byte) {
	t.Helper()
	room, err := s.Fill(len(data))()
	if err != nil || copy(room, data) != len(room) {
		t.Fatalf("%d bytes of room for %d (%v)", len(room), len(data), err)
	}
	s.Filled()
}

// Who has a slab's bytes may write there after its device has been closed, if it has been abandoned.
func TestAbandonedSlab(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 20} {
		d := testdevice.Open(t, 1)
		s := d.NewSlab(size)
		all := s.Bytes()
		if all == nil {
			t.Skip("a device with memory of its own")
		}
		s.Abandon()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		all[size-1] = 1
	}
}
