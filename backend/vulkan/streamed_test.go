//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// Two slabs take turns: one is filled while kernels, long ones, read the other, and each has its bytes when it is read,
// whether they come through staging memory or not.
func TestFilledWhileKernelsRun(t *testing.T) {
	const n, rounds = 1 << 18, 7
	for _, o := range []vulkan.Options{{}, {Staged: true}} {
		d := openDevice(t, o)
		var slabs [2]*tensor.Slab
		for i := range slabs {
			slabs[i] = d.NewSlab(4 * n)
		}
		write := func(room func() ([]byte, error), value byte) {
			t.Helper()
			to, err := room()
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(to); i += 4 { // float32(2 · 256^(value-64))
				to[i], to[i+1], to[i+2], to[i+3] = 0, 0, 0, value
			}
		}
		var sums []*tensor.Tensor
		var want []float64
		room := slabs[0].Fill(4 * n)
		for i := range rounds {
			value := byte(60 + i)
			write(room, value)
			slabs[i%2].Filled()
			room = slabs[(i+1)%2].Fill(4 * n)
			x, y := slabs[i%2].Tensor(0, tensor.F32, n), d.New(tensor.F32, n)
			d.Run(kernels.Fill{N: n}, y)
			for range 4 {
				d.Run(kernels.Add{N: n, M: n}, y, y, x)
			}
			sums = append(sums, y)
			want = append(want, 4*float64(math.Float32frombits(uint32(value)<<24)))
		}
		write(room, 1) // as if a guess had been wrong
		got, err := d.Float64s(sums...)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if !slices.Equal(v, slices.Repeat(want[i:i+1], n)) {
				t.Errorf("staged %v: round %d reads other bytes, %v first of %v", o.Staged, i, v[0], want[i])
			}
		}
	}
}

// A model whose blocks are in its file trains to the bits of one on the device, through staging memory and without, and
// what a step copies is every block but the two that each direction's end leaves.
func TestStreamedModelTrains(t *testing.T) {
	if !mapped.Paged {
		t.Skip("files are read whole here")
	}
	c := tinymodel.Config()
	c.Layers = 4
	dir := tinymodel.WriteLike(t, c)
	batches := data.Batches(tinymodel.Rows(4, 1), 2)
	// steps are the losses and norms of two, and how many transfers the second made.
	steps := func(o vulkan.Options, offload, checkpointing bool) (all []float64, transfers int) {
		t.Helper()
		b := open(t, o)
		counts := b.(interface{ Counts() vulkan.Counts }).Counts
		d := tensor.NewDevice(b)
		defer func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}()
		m, err := llama.Load(t.Context(), d, dir, llama.LoadOptions{Offload: offload})
		if err != nil {
			t.Fatal(err)
		}
		m.Checkpointing = checkpointing
		parts, err := tinymodel.TrainingOf(m, 0)
		if err != nil {
			t.Fatal(err)
		}
		tr := trainerOf(parts)
		for range 2 {
			before := counts()
			r, err := tr.Step(batches)
			if err != nil {
				t.Fatal(err)
			}
			all, transfers = append(all, r.Loss, r.GradNorm), counts().Since(before).Transfers
		}
		return all, transfers
	}
	want, _ := steps(vulkan.Options{}, false, false)
	for _, o := range []vulkan.Options{{}, {Staged: true}} {
		got, transfers := steps(o, true, o.Staged)
		if !slices.Equal(got, want) {
			t.Errorf("staged %v: losses and norms %v, want %v", o.Staged, got, want)
		}
		if o.Staged && transfers != len(batches)*2*(c.Layers-2) {
			t.Errorf("%d transfers in a step of %d passes", transfers, len(batches))
		}
	}
}
