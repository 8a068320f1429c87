package vulkan

import (
	"strings"
	"testing"

	"github.com/agora-ml/agora/shaders"
)

// Every device has 16 KiB, and every kernel is content with them, whatever the size of
// attention's heads and the dtypes.
func TestSharedMemoryOfEveryKernel(t *testing.T) {
	const everywhere = 16 << 10
	for _, d := range shaders.Kernels {
		most, at := 0, uint32(0)
		for first := range uint32(70) { // the first constant of the meaning: attention's is a size, from 29 on without effect
			values := make([]uint32, firstOption+len(d.Args))
			copy(values[firstTile:], d.Tiles[0][:])
			values[firstConst] = first
			n, err := sharedBytes(d.SPIRV(), values)
			if err != nil {
				t.Fatalf("%s: %v", d.Name, err)
			}
			if n > most {
				most, at = n, first
			}
		}
		if most > 0 {
			t.Logf("%-24s %6d bytes (first constant %d)", d.Name, most, at)
		}
		if most > everywhere {
			t.Errorf("%s: %d bytes, want at most %d", d.Name, most, everywhere)
		}
	}
}

// Sizes by hand, from the declarations in the shaders.
func TestSharedBytes(t *testing.T) {
	for _, tt := range []struct {
		kernel string
		tile   shaders.Tile
		consts []uint32
		want   int
	}{
		{"add", shaders.Tile{64}, nil, 0},
		{"sum_squares", shaders.Tile{256}, nil, 4 * 256}, // partials
		{"sum_squares", shaders.Tile{64}, nil, 4 * 64},
		{"max", shaders.Tile{64}, nil, 4*64 + 4*64},                                            // values, places
		{"matmul", shaders.Tile{64, 32, 64, 16}, []uint32{1, 0, 1}, 4*16*(32+4) + 4*16*(64+4)}, // tile_a, tile_b
		// left, right, weights, anybody; highest, total, factor, partial[bm * bn / 4]
		{"attention", shaders.Tile{64, 32, 64}, []uint32{7}, 16*32*3 + 16*64*3 + 4*32*68 + 16 + 3*4*32 + 4*32*16},
		{"attention", shaders.Tile{64, 32, 64}, []uint32{128}, 16*32*9 + 16*64*9 + 4*32*68 + 16 + 3*4*32 + 4*32*16},
	} {
		d, _ := shaders.Find(tt.kernel)
		values := make([]uint32, firstOption+len(d.Args))
		copy(values[firstTile:], tt.tile[:])
		copy(values[firstConst:], tt.consts)
		if got, err := sharedBytes(d.SPIRV(), values); err != nil || got != tt.want {
			t.Errorf("%s with tile %v and constants %v: %d bytes, %v; want %d", tt.kernel, tt.tile, tt.consts, got, err, tt.want)
		}
	}
}

func TestSharedBytesOfNoShader(t *testing.T) {
	d, _ := shaders.Find("attention")
	code := d.SPIRV()
	for want, bad := range map[string][]byte{
		"no SPIR-V": code[4:], "cut off": code[:len(code)/4&^3/8], "is no": nil,
	} {
		if _, err := sharedBytes(bad, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
