package vulkan

import (
	"os"
	"strings"
	"testing"

	"github.com/agora-ml/agora/shaders"
)

// Every device has 16 KiB, and every kernel is content with them in its smallest tile, whatever
// the size of attention's heads. Larger tiles and alternatives are chosen by what they share,
// which must be understood.
func TestSharedMemoryOfEveryKernel(t *testing.T) {
	const everywhere = 16 << 10
	bytes := func(name string, code []byte, tile shaders.Tile, own uint32) int {
		var c constants
		copy(c[firstTile:], tile[:])
		c[firstConst] = own
		copy(c[firstMatrix:], []uint32{16, 16, 16, 32})
		n, err := sharedBytes(code, c[:])
		if err != nil {
			t.Fatalf("%s with tile %v: %v", name, tile, err)
		}
		return n
	}
	for _, d := range shaders.All() {
		if d.SPIRV == nil { // no GPU runs it
			continue
		}
		for i, tile := range d.Tiles {
			most, at := 0, uint32(0)
			for own := range uint32(70) { // the first constant of the meaning: attention's is a size, from 29 on without effect
				if n := bytes(d.Name, d.SPIRV(), tile, own); n > most {
					most, at = n, own
				}
			}
			if most > 0 {
				t.Logf("%-24s %v %6d bytes (first constant %d)", d.Name, tile, most, at)
			}
			if i == 0 && most > everywhere {
				t.Errorf("%s: %d bytes, want at most %d", d.Name, most, everywhere)
			}
		}
		for _, a := range d.Alternatives {
			for dt, code := range a.SPIRV {
				for _, tile := range a.Tiles {
					t.Logf("%-24s %v %6d bytes, %s", a.Name, tile, bytes(a.Name, code(), tile, 0), dt)
				}
			}
		}
	}
}

// Sizes by hand, from the declarations in testdata/shared.comp.
func TestSharedBytes(t *testing.T) {
	code, err := os.ReadFile("testdata/shared.spv")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ group, rows, wide, a, b, e, f uint32 }{
		{64, 8, 0, 4 * 64, 16 * 8 * 8, 160, 16},
		{100, 12, 1, 4 * 100, 16 * 12 * 3, 64, 32}, // e of 7*8 bytes is followed by 8 that nobody has
		{64, 3, 1, 4 * 64, 16 * 4 * 4, 160, 32},
		{64, 40, 0, 4 * 64, 16 * 32 * 32, 160, 16},
		{256, 7, 0, 4 * 256, 16 * 8 * 8, 64, 16},
	} {
		want := int(tt.a + tt.b + 16 + 48 + tt.e + tt.f + 32) // c, d and g are always the same
		if got, err := sharedBytes(code, []uint32{tt.group, tt.rows, tt.wide}); err != nil || got != want {
			t.Errorf("%+v: %d bytes, %v; want %d", tt, got, err, want)
		}
	}
	if got, err := sharedBytes(code, nil); err != nil || got != 16+16*8*8+16+48+160+16+32 { // a workgroup of 1
		t.Errorf("by default %d bytes, %v", got, err)
	}
	for want, bad := range map[string][]byte{"not SPIR-V": code[4:], "cut off": code[:len(code)/2&^3], "is no": nil} {
		if _, err := sharedBytes(bad, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
