package random

import "testing"

// The known answers of the Random123 distribution's kat_vectors.
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{want: [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}, [2]uint32{^uint32(0), ^uint32(0)},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := Philox4x32(c.key, c.counter); got != c.want {
			t.Errorf("key %x counter %x: got %x, want %x", c.key, c.counter, got, c.want)
		}
	}
}

func TestPermIsAPermutation(t *testing.T) {
	seen := make([]bool, 1000)
	fixed := 0
	for i, v := range NewStream(7, Order, 0, 0).Perm(len(seen)) {
		if seen[v] {
			t.Fatalf("%d twice", v)
		}
		seen[v] = true
		if i == v {
			fixed++
		}
	}
	if fixed > 20 {
		t.Errorf("%d of 1000 stayed in place", fixed)
	}
}

func TestStreamsDiffer(t *testing.T) {
	a, b := NewStream(7, Order, 0, 0), NewStream(7, Dropout, 0, 0)
	same := 0
	for range 100 {
		if a.Uint32() == b.Uint32() {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d of 100 equal numbers in two streams of one seed", same)
	}
}
