package multilora

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Fingerprint tells a model from others: the names and shapes of its parameters, and some
// numbers of each. They are the numbers themselves, and not a hash of them, because the same
// model in another storage type has others, which rounding explains.
type Fingerprint struct {
	Tensors []TensorSample
}

// TensorSample is one parameter of a Fingerprint.
type TensorSample struct {
	Name  string
	Shape []int
	// Values are all numbers of a parameter of up to 64, and else those of two blocks of 32
	// that depend on its name and size alone: one in each half, and blocks of q8 and q4.
	Values []float32
}

// fingerprint reads the sample of a model's parameters from its device: half a kilobyte of each or less. A model on a
// virtual device, which has no values, has none.
func fingerprint(model Model) (*Fingerprint, error) {
	f := &Fingerprint{}
	var r sampleReader
	for name, p := range nn.Params(model) {
		w := p.Use()
		if w.Device().IsMeta() {
			return nil, nil
		}
		f.Tensors = append(f.Tensors, TensorSample{Name: name, Shape: w.Shape()})
		r.add(w, sampled(name, w.Numel()), len(f.Tensors)-1)
		if p.Fetch == nil { // the device is waited for once, for all that stay on it
			continue
		}
		if err := r.read(f); err != nil {
			return nil, err
		}
	}
	return f, r.read(f)
}

// sampleReader is samples that are still to be read from the device: views of a parameter, and of each the numbers
// that are a sample's, in whole blocks.
type sampleReader struct {
	views  []*tensor.Tensor
	pieces []piece // within its view
	of     []int   // the number of the parameter
}

func (r *sampleReader) add(w *tensor.Tensor, pieces []piece, param int) {
	for _, p := range pieces {
		from, n := aroundBlocks(w, p)
		r.views = append(r.views, w.View(from, n))
		r.pieces, r.of = append(r.pieces, piece{p.from - from, p.n}), append(r.of, param)
	}
}

// read gives f what has been added.
func (r *sampleReader) read(f *Fingerprint) error {
	if len(r.views) == 0 {
		return nil
	}
	values, err := r.views[0].Device().Float64s(r.views...)
	if err != nil {
		return fmt.Errorf("multilora: fingerprint of the model: %w", err)
	}
	for i, p := range r.pieces {
		t := &f.Tensors[r.of[i]]
		for _, v := range values[i][p.from:][:p.n] {
			t.Values = append(t.Values, float32(v))
		}
	}
	*r = sampleReader{}
	return nil
}

// aroundBlocks are the whole blocks that a piece of a parameter is in.
func aroundBlocks(w *tensor.Tensor, r piece) (from, n int) {
	length := w.DType().BlockLen()
	from = r.from / length * length
	return from, (r.from + r.n - from + length - 1) / length * length
}

// piece is n elements from one on.
type piece struct{ from, n int }

// sampleLen is how many numbers of a larger parameter are taken together: a block of q8 and of q4, which
// divides those of other types.
const sampleLen = 32

// sampled are the pieces of a parameter of so many elements that are in its sample.
func sampled(name string, elements int) []piece {
	const block = sampleLen
	if elements <= 2*block {
		return []piece{{0, elements}}
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	id := h.Sum64()
	draw := random.NewStream(0, random.Fingerprint, uint32(id), uint32(id>>32))
	half := elements / block / 2
	return []piece{{draw.IntN(half) * block, block}, {(half + draw.IntN(elements/block-half)) * block, block}}
}

// Digest is a SHA-256 of everything in the fingerprint, in hexadecimal.
func (f *Fingerprint) Digest() string {
	h := sha256.New()
	for _, t := range f.Tensors {
		fmt.Fprintf(h, "%q %d ", t.Name, t.Shape)
		h.Write(littleEndian(t.Values))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func littleEndian(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// A fingerprint in adapter.json: the digest of the whole, by which another file can be
// recognized without comparing, and a line for each parameter.
type fingerprintJSON struct {
	Digest  string       `json:"digest"`
	Tensors []sampleJSON `json:"tensors"`
}

type sampleJSON struct {
	Name   string `json:"name"`
	Shape  []int  `json:"shape"`
	Sample string `json:"sample"` // f32, little-endian, in base64
}

func (t TensorSample) forJSON() sampleJSON {
	return sampleJSON{t.Name, t.Shape, base64.StdEncoding.EncodeToString(littleEndian(t.Values))}
}

const maxDimensions = 8 // more than any parameter has

// fingerprint checks what was read; nil stays nil.
func (j *fingerprintJSON) fingerprint() (*Fingerprint, error) {
	if j == nil {
		return nil, nil
	}
	f := &Fingerprint{}
	names := map[string]bool{}
	for i, s := range j.Tensors {
		fail := func(field, want string, got any) (*Fingerprint, error) {
			return nil, fmt.Errorf("field fingerprint.tensors[%d].%s: want %s, got %v", i, field, want, got)
		}
		if names[s.Name] {
			return fail("name", "another than before", quoted(s.Name))
		}
		if len(s.Shape) > maxDimensions {
			return fail("shape", fmt.Sprintf("at most %d numbers", maxDimensions), len(s.Shape))
		}
		names[s.Name] = true
		elements := 1
		for _, n := range s.Shape {
			if n < 1 || n > math.MaxInt/64/elements {
				return fail("shape", "positive numbers whose product is one", s.Shape)
			}
			elements *= n
		}
		data, err := base64.StdEncoding.DecodeString(s.Sample)
		if err != nil {
			return fail("sample", "base64", err)
		}
		if want := min(elements, 2*sampleLen); len(data) != 4*want {
			return fail("sample", fmt.Sprintf("%d numbers of 4 bytes", want), fmt.Sprintf("%d bytes", len(data)))
		}
		t := TensorSample{Name: s.Name, Shape: s.Shape, Values: make([]float32, len(data)/4)}
		tensor.F32.Decode(t.Values, data)
		f.Tensors = append(f.Tensors, t)
	}
	if len(f.Tensors) == 0 {
		return nil, errors.New("field fingerprint.tensors: want those of a model, got none")
	}
	if digest := f.Digest(); j.Digest != digest {
		return nil, fmt.Errorf("field fingerprint.digest: want that of the tensors, %s, got %s", digest,
			quoted(j.Digest))
	}
	return f, nil
}

// same reports whether the bits are equal.
func same(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}
