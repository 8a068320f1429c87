package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// Form is one of the shaders that the kernel matmul may run as on a Vulkan device, with the
// sizes it is launched with.
type Form struct {
	Shader string       `json:"shader"`
	Tile   shaders.Tile `json:"tile"` // invocations of a workgroup, and m, n and k of what they compute at a time
}

func (f Form) String() string {
	t := f.Tile
	return fmt.Sprintf("%s %d:%dx%dx%d", f.Shader, t[0], t[1], t[2], t[3])
}

// plainShader is the form that every device takes.
const plainShader = "matmul"

// ParseForm reads what String writes, but for the space, which is a "=".
func ParseForm(text string) (f Form, err error) {
	fail := fmt.Errorf("want SHADER=GROUP:MxNxK, as %s, got %q", strings.Replace(Forms()[0].String(), " ", "=", 1),
		text)
	shader, tile, ok := strings.Cut(text, "=")
	if !ok {
		return f, fail
	}
	f.Shader = shader
	t := &f.Tile
	if n, err := fmt.Sscanf(tile, "%d:%dx%dx%d", &t[0], &t[1], &t[2], &t[3]); n != len(t) || err != nil ||
		f.String() != shader+" "+tile {
		return f, fail
	}
	if slices.Contains(t[:], 0) || slices.Max(t[:]) > 1<<12 {
		return f, fmt.Errorf("want sizes from 1 to %d, got %q", 1<<12, text)
	}
	if !slices.Contains(matmulShaders(), shader) {
		return f, fmt.Errorf("want one of the shaders %s, got %q", strings.Join(matmulShaders(), ", "), text)
	}
	return f, nil
}

func matmulShaders() []string {
	d, _ := shaders.Find(plainShader)
	names := []string{d.Name}
	for _, a := range d.Alternatives {
		names = append(names, a.Name)
	}
	return names
}

// more are tiles to try beside those that the backend chooses from, by shader: other forms of the same
// size, deeper and shallower ones, and larger ones. Those of a workgroup's first number are
// whole rows of subgroups of 32 and 64.
var more = map[string][]shaders.Tile{
	plainShader: {
		{64, 64, 64, 8}, {64, 32, 64, 16}, {128, 64, 128, 16}, {128, 128, 64, 16}, {128, 128, 128, 16},
		{256, 128, 128, 8}, {256, 128, 128, 32}, {256, 64, 128, 16}, {256, 128, 256, 16},
	},
	"matmul_gemv": {
		{32, 1, 1, 256}, {32, 1, 2, 256}, {64, 1, 1, 512}, {64, 1, 4, 512}, {64, 1, 8, 512}, {64, 1, 8, 128},
		{128, 1, 4, 1024}, {256, 1, 8, 1024},
		{64, 4, 2, 512}, {64, 8, 2, 512}, {64, 8, 8, 256}, {128, 8, 8, 512},
	},
	"matmul_coopmat": {
		{64, 32, 64, 32}, {128, 64, 64, 16}, {128, 64, 64, 64}, {128, 64, 128, 32}, {128, 128, 64, 32},
		{128, 128, 128, 32},
		{256, 64, 128, 32}, {256, 128, 128, 16}, {256, 128, 128, 64}, {256, 128, 256, 32}, {256, 256, 128, 32},
		{512, 128, 256, 32}, {512, 256, 256, 32},
	},
	"matmul_coopmat2": {
		{128, 64, 64, 32}, {128, 64, 128, 64}, {128, 128, 128, 64},
		{256, 64, 128, 64}, {256, 128, 128, 32}, {256, 128, 256, 32}, {256, 256, 128, 64}, {256, 256, 256, 32},
	},
}

// Forms are those worth a comparison: every shader with the tiles that the backend chooses
// from, and with others.
func Forms() (list []Form) {
	add := func(shader string, tiles []shaders.Tile) {
		for _, t := range slices.Concat(tiles, more[shader]) {
			list = append(list, Form{shader, t})
		}
	}
	d, _ := shaders.Find(plainShader)
	add(d.Name, d.Tiles)
	for _, a := range d.Alternatives {
		add(a.Name, a.Tiles)
	}
	return list
}

// takes reports whether a call can run as this form.
func (f Form) takes(k kernels.Matmul) bool {
	a := f.alternative()
	return a == nil || a.Takes == nil || a.Takes(k)
}

// workgroup reports whether a form must be asked for.
func (f Form) workgroup() bool {
	a := f.alternative()
	return a != nil && a.Workgroup
}

// alternative is nil for the plain shader.
func (f Form) alternative() *shaders.Alternative {
	d, _ := shaders.Find(plainShader)
	for _, a := range d.Alternatives {
		if a.Name == f.Shader {
			return &a
		}
	}
	return nil
}

// open opens the device to run this form, and gives those of the types that run as it there.
func (f Form) open(o GEMMOptions) (*tensor.Device, []tensor.DType, error) {
	kind, which, _ := strings.Cut(o.Device, ":")
	if kind == "auto" {
		which = ""
	} else if kind != "vulkan" {
		return nil, nil, fmt.Errorf("device %q: want a Vulkan device, which alone has other forms of a kernel",
			o.Device)
	}
	b, err := vulkan.Open(vulkan.Options{
		Device: which, MemoryLimit: o.MemoryLimit, Plain: f.Shader == plainShader,
		Tiles:             map[string]shaders.Tile{f.Shader: f.Tile},
		WorkgroupMatrices: f.workgroup(),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("device %q: %w", o.Device, err)
	}
	d := tensor.NewDevice(b)
	if f.Shader == plainShader {
		return d, o.DTypes, nil
	}
	offered, err := alternativesOf(d)
	if err != nil {
		d.Close()
		return nil, nil, err
	}
	anyType := f.alternative().SPIRV[""] != nil
	return d, slices.DeleteFunc(slices.Clone(o.DTypes), func(dt tensor.DType) bool {
		name := f.Shader + " "
		if !anyType {
			name += dt.String() + ":"
		}
		return !slices.ContainsFunc(offered, func(a string) bool { return strings.HasPrefix(a, name) })
	}), nil
}

// alternativesOf are a device's, as vulkan.Info has them.
func alternativesOf(d *tensor.Device) ([]string, error) {
	list, err := vulkan.Devices()
	if err != nil || os.Getenv(vulkan.PlainVariable) == "1" {
		return nil, err
	}
	for _, i := range list {
		if d.Name() == "vulkan ("+i.Name+")" {
			return slices.Concat(i.Alternatives, i.OnRequest), nil
		}
	}
	return nil, nil
}
