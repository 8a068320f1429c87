package random

import "math"

// The streams of one seed. Each has a key of its own, so that drawing more
// numbers for one purpose never moves another's.
const (
	Init        uint32 = iota + 1 // initial values of parameters; step = index of the parameter
	Dropout                       // masks; step = training step, op = call within the step
	Order                         // the order of rows; step = epoch
	Sampling                      // generated tokens; step = row, op = position
	Test                          // inputs of tests and examples
	Fingerprint                   // which numbers of a parameter tell a model from others
	Mixture                       // which task a row is drawn from (op 0), how packed rows are ordered (op 1)
	Generated                     // rows of generated tasks; step = what they are for, op = task
	Combine                       // which elements of an update DARE drops; subspaces that iteration begins with
)

// Key is the Philox key of one stream of a seed.
func Key(seed uint64, stream uint32) [2]uint32 {
	return [2]uint32{uint32(seed) ^ stream*0x9E3779B9, uint32(seed>>32) ^ stream}
}

// Stream hands out the numbers of one (key, step, op) in order of their element.
type Stream struct {
	key      [2]uint32
	step, op uint32
	next     uint64 // element
	block    [4]uint32
}

// NewStream starts at element 0.
func NewStream(seed uint64, stream, step, op uint32) *Stream {
	return &Stream{key: Key(seed, stream), step: step, op: op}
}

// Uint32 is the next 32 random bits.
func (s *Stream) Uint32() uint32 {
	if s.next%4 == 0 {
		e := s.next / 4
		s.block = Philox4x32(s.key, [4]uint32{uint32(e), uint32(e >> 32), s.step, s.op})
	}
	v := s.block[s.next%4]
	s.next++
	return v
}

// Float32 is uniform in [0, 1).
func (s *Stream) Float32() float32 { return Uniform(s.Uint32()) }

// Normal is standard normal (Box-Muller).
func (s *Stream) Normal() float64 {
	u := (float64(s.Uint32()) + 0.5) * 0x1p-32
	v := float64(s.Uint32()) * 0x1p-32
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// IntN is uniform in [0, n); n must be positive and below 2^31.
func (s *Stream) IntN(n int) int { return int(uint64(s.Uint32()) * uint64(n) >> 32) }

// Perm is a random order of 0..n-1 (Fisher and Yates).
func (s *Stream) Perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		j := s.IntN(i + 1)
		p[i], p[j] = p[j], i
	}
	return p
}
