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
	"github.com/agora-ml/agora/internal/testdevice"
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

// A model whose blocks are in its file trains to the bits of one on the device, and what a step copies through staging
// memory is every block but the two that each direction's end leaves.
func TestStreamedModelTrains(t *testing.T) {
	if !mapped.Paged {
		t.Skip("files are read whole here")
	}
	c := tinymodel.Config()
	c.Layers = 4
	dir := tinymodel.WriteLike(t, c)
	batches := data.Batches(tinymodel.Rows(4, 1), 2)
	b := open(t, vulkan.Options{Staged: true})
	counts := b.(interface{ Counts() vulkan.Counts }).Counts
	d := testdevice.On(t, b)
	// steps are the losses and norms of two, and how many transfers the second made.
	steps := func(offload, checkpointing bool) (all []float64, transfers int) {
		t.Helper()
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
	want, none := steps(false, false)
	for _, checkpointing := range []bool{false, true} {
		got, transfers := steps(true, checkpointing)
		if !slices.Equal(got, want) {
			t.Errorf("checkpointing %v: losses and norms %v, want %v", checkpointing, got, want)
		}
		if transfers != len(batches)*2*(c.Layers-2) || none != 0 {
			t.Errorf("%d transfers in a step of %d passes, %d with the model on the device", transfers, len(batches), none)
		}
	}
}
