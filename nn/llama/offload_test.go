package llama

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// A model whose weights stay in its file computes what one in memory does, bit for bit, and takes less of it: in a
// folder in the file's type, in a GGUF file as its blocks are, of which the rows of queries and keys are in another
// order and come into memory.
func TestOffload(t *testing.T) {
	if !mapped.Paged {
		t.Skip("files are read whole here")
	}
	c := small("llama")
	c.Layers, c.Hidden, c.Intermediate = 5, 32, 64
	d := testdevice.Open(t, 2)
	m := create(t, d, c)
	dir, file, half := t.TempDir(), filepath.Join(t.TempDir(), "q8.gguf"), t.TempDir()
	narrow, err := NewAs(d, c, tensor.BF16, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Save(dir), narrow.Save(half), m.SaveGGUF(file, GGUFOptions{DType: tensor.Q8})); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		path   string
		o      LoadOptions
		inFile int // tensors of a block
	}{{dir, LoadOptions{}, 9}, {half, LoadOptions{DType: tensor.BF16}, 9}, {file, LoadOptions{AsStored: true}, 7},
		{dir, LoadOptions{DType: tensor.BF16}, 0}} {
		for _, checkpointing := range []bool{false, true} {
			x.o.Offload = false
			before := d.Stats().Live
			whole, err := Load(t.Context(), d, x.path, x.o)
			if err != nil {
				t.Fatal(err)
			}
			wholeBytes := d.Stats().Live - before
			x.o.Offload = true
			m, err := Load(t.Context(), d, x.path, x.o)
			if err != nil {
				t.Fatal(err)
			}
			bytesLive := d.Stats().Live - before - wholeBytes
			whole.Checkpointing, m.Checkpointing = checkpointing, checkpointing
			for range 2 {
				if !bytes.Equal(lossAndGradient(t, m), lossAndGradient(t, whole)) {
					t.Errorf("%s, checkpointing %v: other bits than in memory", x.path, checkpointing)
				}
			}
			sameParams(t, whole, m)
			inFile := 0
			for _, p := range nn.Params(m.Blocks[3]) {
				if p.Value.Borrowed() {
					inFile++
				}
			}
			if cpu := d.KeepsScratch(); cpu && inFile != x.inFile || !cpu && inFile != 0 {
				t.Errorf("%s: %d tensors of a block lie in the file, want %d on the CPU", x.path, inFile, x.inFile)
			}
			if x.inFile > 0 && bytesLive > wholeBytes*3/4 {
				t.Errorf("%s: %d bytes of memory with weights in the file, %d without", x.path, bytesLive, wholeBytes)
			}
		}
	}
	if _, err := Load(t.Context(), d, dir, LoadOptions{Offload: true, Blocks: &memoryStore{}}); err == nil ||
		!strings.Contains(err.Error(), "one of the two") {
		t.Errorf("two places: %v", err)
	}
}

// The plan of a device without values takes what the model takes.
func TestOffloadIsCountedBeforehand(t *testing.T) {
	if !mapped.Paged {
		t.Skip("files are read whole here")
	}
	c := small("llama")
	c.Layers = 3
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	file := filepath.Join(t.TempDir(), "q8.gguf")
	m := create(t, d, c)
	defer runtime.KeepAlive(m) // collected meanwhile, its tensors would count
	if err := m.SaveGGUF(file, GGUFOptions{DType: tensor.Q8}); err != nil {
		t.Fatal(err)
	}
	o := LoadOptions{AsStored: true, Offload: true}
	d.Trim()
	before := d.Stats().Live
	if _, err := Load(t.Context(), d, file, o); err != nil {
		t.Fatal(err)
	}
	meta := device.Meta(device.Options{})
	defer meta.Close()
	if _, err := BlankFrom(t.Context(), meta, file, o); err != nil {
		t.Fatal(err)
	}
	if got, want := meta.Stats().Live, d.Stats().Live-before; got != want || want == 0 {
		t.Errorf("%d bytes foreseen, %d taken", got, want)
	}
}

// A file that is cut short, or written to, while its weights are in use is an error that names it.
func TestOffloadedFileThatChanges(t *testing.T) {
	if !mapped.Paged {
		t.Skip("files are read whole here")
	}
	d, err := device.OpenWith("cpu", device.Options{Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := small("llama")
	c.Hidden, c.Intermediate = 64, 256
	dir := t.TempDir()
	if err := create(t, d, c).Save(dir); err != nil {
		t.Fatal(err)
	}
	m, err := Load(t.Context(), d, dir, LoadOptions{Offload: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := mapped.Changed(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, safetensors.ModelFile)
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if err := mapped.Changed(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that was written to: %v", err)
	}
	b := NewBatch([][]int32{{1, 2, 3}}, nil)
	err = mapped.Guard(func() error {
		_, err := m.Logits(b).Tensor().Float32s()
		return err
	})
	if !errors.Is(err, mapped.ErrCutShort) || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that was cut short: %v", err)
	}
}
