package bench

import (
	"strings"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// stock is normal random numbers from which tensors of any size are filled, again and again
// from the start: to draw every weight of a large model would take minutes. The numbers are
// no round ones, so that a device's arithmetic units work as with those of a trained model.
type stock struct {
	values []float32
	bytes  map[tensor.DType][]byte // values as the type stores them
	next   int
}

// stockLen is a whole number of blocks of 256 and no multiple of a matrix's width, so that the
// rows of a matrix differ.
const stockLen = 256 * 4099

func newStock(deviation float32) *stock {
	s := &stock{values: make([]float32, stockLen), bytes: map[tensor.DType][]byte{}}
	r := random.NewStream(1, random.Test, 0, 0)
	for i := range s.values {
		s.values[i] = deviation * float32(r.Normal())
	}
	return s
}

// stored is the numbers in a type.
func (s *stock) stored(d *tensor.Device, dt tensor.DType) (bytes []byte, err error) {
	if s.bytes[dt] == nil {
		t := d.New(dt, stockLen)
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
	values := make([]float32, stockLen)
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
		n := min(t.Numel()-done, stockLen-s.next)
		t.View(done, n).SetBytes(bytes[dt.Bytes(s.next):dt.Bytes(s.next+n)])
		done, s.next = done+n, (s.next+n)%stockLen
	}
	s.next = (s.next + 255) / 256 * 256 % stockLen
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
