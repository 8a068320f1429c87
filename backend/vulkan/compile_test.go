package vulkan

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// together is a null device that ends no pipeline before so many are being made.
type together struct {
	*null
	lock    sync.Mutex
	wanted  int
	begun   int
	enough  chan struct{}
	alone   bool // somebody has waited in vain
	byID    []constants
	refuses bool // every alternative
}

func (h *together) pipeline(_ []byte, c *constants, subgroup int) (uint64, error) {
	h.lock.Lock()
	if h.begun++; h.begun == h.wanted {
		close(h.enough)
	}
	h.byID = append(h.byID, *c)
	id := len(h.byID)
	h.lock.Unlock()
	select {
	case <-h.enough:
	case <-time.After(10 * time.Second):
		h.alone = true
	}
	if h.refuses && subgroup != 0 {
		return h.null.pipeline(nil, c, subgroup)
	}
	return uint64(id), nil
}

// Pipelines are made side by side while commands are recorded, each command gets its own, and where a driver refuses an
// alternative, what was recorded for it runs as another shader.
func TestPipelinesAreMadeTogether(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		hw := &together{null: newNull(), wanted: 3, enough: make(chan struct{}), refuses: refuses}
		hw.shapes, hw.refuse = shapes, refuses
		b := newBackend(hw, Options{})
		b.compilers.threads = make(chan struct{}, 4)
		d := tensor.NewDevice(b)
		var want []uint32 // Matmul.Acc, a specialization constant
		for _, acc := range []bool{false, true, false} {
			k := kernels.Matmul{Batch: 1, M: 64, N: 64, K: 64, Acc: acc}
			d.Run(k, d.New(tensor.F16, 64, 64), d.New(tensor.F16, 64, 64), d.New(tensor.F16, 64, 64), nil)
			want = append(want, map[bool]uint32{true: 1}[acc])
		}
		d.Run(kernels.Scale{N: 8, Alpha: 2}, d.New(tensor.F32, 8), d.New(tensor.F32, 8))
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
		if hw.alone {
			t.Error("pipelines are made one after the other")
		}
		var got []uint32
		for _, c := range hw.submitted {
			if c.kind != dispatchCommand || len(got) == len(want) {
				continue
			}
			made := hw.byID[c.pipeline-1]
			got = append(got, made[firstConst+2])
			if rows := (64 + made[1] - 1) / made[1]; c.groups[1] != rows {
				t.Errorf("refused: %v: %d rows of workgroups with tiles of %d", refuses, c.groups[1], made[1])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("refused: %v: the products add %v, want %v", refuses, got, want)
		}
		for _, c := range b.kernels["matmul"].forms {
			if made := len(c.pipelines); made > 0 && c.alternative == refuses {
				t.Errorf("refused: %v: %d pipelines of %s, alternative: %v", refuses, made, c.name, c.alternative)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Where a driver refuses a lean tile, all commands that were recorded for it run with a larger one.
func TestARefusedLeanTile(t *testing.T) {
	hw := newNull()
	hw.lim.Shared, hw.refused = 64<<10, []uint32{256, 128, 32}
	b := newBackend(hw, Options{})
	b.compilers.threads = make(chan struct{}, 4)
	d := tensor.NewDevice(b)
	k := kernels.AttentionGradKV{Batch: 2, T: 1024, S: 1024, Heads: 8, KVHeads: 8, HeadDim: 128}
	large := d.New(tensor.F32, 2, 1024, 8, 128)
	for range 2 {
		statistic := d.New(tensor.F32, 2, 8, 1024)
		d.Run(k, d.New(tensor.F32, 2, 1024, 8, 128), d.New(tensor.F32, 2, 1024, 8, 128), large, statistic, statistic,
			large, large, large, nil, nil, nil, nil)
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range hw.submitted {
		if c.kind == dispatchCommand {
			ran++
			if made := hw.pipelines[c.pipeline-1]; !slices.Equal(made[:3], []uint32{256, 64, 64}) {
				t.Errorf("tile %v", made[:3])
			}
		}
	}
	if ran != 2 {
		t.Errorf("%d commands, want 2", ran)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// A kernel that no shader of computes is an error when it is submitted, and Close waits for what is being made.
func TestARefusedPipelineIsAnError(t *testing.T) {
	hw := newNull()
	hw.refused = []uint32{}
	b := newBackend(hw, Options{})
	b.compilers.threads = make(chan struct{}, 4)
	d := tensor.NewDevice(b)
	x := d.New(tensor.F32, 8)
	d.Run(kernels.Scale{N: 8, Alpha: 2}, x, x)
	if err := d.Flush(); err == nil || !strings.Contains(err.Error(), "kernel scale: the null device refuses") {
		t.Errorf("error %v", err)
	}
	if err := d.Close(); err == nil || len(hw.submitted) > 0 {
		t.Errorf("closed with error %v, %d commands submitted", err, len(hw.submitted))
	}
}
