package pages

import (
	"bytes"
	"testing"
	"unsafe"
)

// What is smaller than a huge page lies behind each other, and goes alone.
func TestPoolMapsNeighbors(t *testing.T) {
	var p Pool
	const size = 300 << 10
	var got [3][]byte
	for i := range got {
		b, err := p.Map(size)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != size || !bytes.Equal(b, make([]byte, size)) {
			t.Fatalf("buffer %d: %d bytes, or not zeros", i, len(b))
		}
		for j := range b {
			b[j] = byte(i + 1)
		}
		got[i] = b
	}
	if at := func(i int) uintptr { return uintptr(unsafe.Pointer(&got[i][0])) }; at(2)-at(0) != 2*size {
		t.Errorf("buffers of %d bytes lie %d bytes apart", size, (at(2)-at(0))/2)
	}
	large, err := p.Map(2 * togetherBytes)
	if err != nil {
		t.Fatal(err)
	}
	large[len(large)-1] = 1
	for _, b := range [][]byte{got[1], large} {
		if err := Unmap(b); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	for _, i := range []int{0, 2} {
		if n := bytes.Count(got[i], []byte{byte(i + 1)}); n != size {
			t.Errorf("buffer %d lost %d bytes with its neighbors", i, size-n)
		}
		if err := Unmap(got[i]); err != nil {
			t.Fatal(err)
		}
	}
	if next, err := p.Map(size); err != nil || next[0] != 0 || Unmap(next) != nil {
		t.Errorf("after Close: %v", err)
	}
	p.Close()
}
