package bench

import (
	"strings"

	"github.com/agora-ml/agora/internal/normals"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// stock fills tensors of any size with normal random numbers.
type stock struct {
	values []float32
	bytes  map[tensor.DType][]byte // values as the type stores them
	next   int
}

func newStock(deviation float32) *stock {
	return &stock{values: normals.Values(deviation, 1), bytes: map[tensor.DType][]byte{}}
}

// stored is the numbers in a type.
func (s *stock) stored(d *tensor.Device, dt tensor.DType) (bytes []byte, err error) {
	if s.bytes[dt] == nil {
		t := d.New(dt, normals.Len)
		t.SetFloat32s(s.values)
		s.bytes[dt], err = t.RawBytes()
		t.Free("its bytes are on the host")
	}
	return s.bytes[dt], err
}

// numbers are what a type makes of the values.
func (s *stock) numbers(d *tensor.Device, dt tensor.DType) ([]float32, error) {
	bytes, err := s.stored(d, dt)
	if err != nil {
		return nil, err
	}
	values := make([]float32, normals.Len)
	dt.Decode(values, bytes)
	return values, nil
}

// fill writes the next numbers to t, straight in its type, and gives the place of the first.
func (s *stock) fill(t *tensor.Tensor) (from int, err error) {
	from, dt := s.next, t.DType()
	bytes, err := s.stored(t.Device(), dt)
	if err != nil {
		return from, err
	}
	for done := 0; done < t.Numel(); {
		n := min(t.Numel()-done, normals.Len-s.next)
		t.View(done, n).SetBytes(bytes[dt.Bytes(s.next):dt.Bytes(s.next+n)])
		done, s.next = done+n, (s.next+n)%normals.Len
	}
	s.next = normals.Next(s.next)
	return from, nil
}

// randomModel makes a model as llama.Load would store it: its matrices are normal,
// norms one and biases zero, all of them frozen.
func randomModel(d *tensor.Device, c llama.Config, o llama.LoadOptions) (*llama.Model, error) {
	m, err := llama.Blank(d, c, o)
	if err != nil || d.IsMeta() {
		return m, err
	}
	s := newStock(c.InitRange)
	for name, p := range nn.Params(m) {
		if t := p.Value; t.Rank() > 1 {
			if _, err := s.fill(t); err != nil {
				return nil, err
			}
		} else {
			values := make([]float32, t.Numel())
			for i := range values {
				if !strings.HasSuffix(name, ".bias") {
					values[i] = 1
				}
			}
			t.SetFloat32s(values)
		}
	}
	return m, d.Flush()
}

// randomAdapter puts modules of normal numbers beside a model's layers.
func randomAdapter(m *llama.Model, c multilora.Config) error {
	if _, err := multilora.Attach(m, c, 1); err != nil {
		return err
	}
	s := newStock(0.02)
	for _, p := range nn.Params(m) {
		if p.Frozen {
			continue
		}
		if _, err := s.fill(p.Value); err != nil {
			return err
		}
	}
	return m.Device().Flush()
}
