package quant

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every kind widens to the bits that llama.cpp widens it to: blocks of its own quantizer and
// blocks of random bits. tools/golden/blocks.py makes the files.
func TestGolden(t *testing.T) {
	const n = 1024
	for typ := range Types {
		data, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(typ.String())+".blocks"))
		if err != nil {
			t.Fatal(err)
		}
		blocks := data[:typ.Bytes(n)]
		want := data[len(blocks):]
		if len(want) != 4*n {
			t.Fatalf("%s: %d bytes of float32, want %d", typ, len(want), 4*n)
		}
		if err := typ.Check(blocks); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		got := make([]float32, n)
		typ.Decode(got, blocks)
		for i, x := range got {
			if w := binary.LittleEndian.Uint32(want[4*i:]); math.Float32bits(x) != w {
				t.Errorf("%s: number %d is %v, llama.cpp has %v", typ, i, x, math.Float32frombits(w))
				break
			}
		}
	}
}

// Each scale of a block must be finite, and the error says which block's is not.
func TestCheck(t *testing.T) {
	for typ := range Types {
		for _, at := range formats[typ].scales {
			for _, h := range []uint16{0x7c00, 0xfc00, 0x7e01} {
				blocks := make([]byte, typ.Bytes(3*typ.Len()))
				binary.LittleEndian.PutUint16(blocks[typ.Bytes(typ.Len())+at:], h)
				if err := typ.Check(blocks); err == nil || !strings.Contains(err.Error(), "in block 1") {
					t.Errorf("%s with %#x at %d: error %v", typ, h, at, err)
				}
			}
		}
	}
}
