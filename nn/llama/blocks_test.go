package llama

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/ggufblocks"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// wideBlocks is a GGUF file of a model whose matrices are whole blocks of every kind.
func wideBlocks(t *testing.T, kind func(name string) quant.Type) string {
	t.Helper()
	c := small("llama")
	c.Hidden, c.Intermediate, c.Heads, c.KVHeads, c.HeadDim, c.Tied = 256, 512, 4, 2, 64, false
	m := create(t, open(t), c)
	path := filepath.Join(t.TempDir(), "blocks.gguf")
	if err := ggufblocks.Rewrite(saveGGUF(t, m, GGUFOptions{}), path, 1.0/16, kind); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file's blocks of any kind are loaded as they lie, give the logits of the dequantized f32 weights to the
// bit, and so do they for one row at a time; the model's size is what BlankFrom says.
func TestBlocksOfEveryKind(t *testing.T) {
	kinds := map[string]func(string) quant.Type{"Q4_K_M": ggufblocks.Q4_K_M}
	for k := range ggufblocks.Types {
		k := quant.Type(k)
		kinds[k.String()] = func(string) quant.Type { return k }
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			path := wideBlocks(t, kind)
			d := open(t)
			m, wide := loadAs(t, d, path, tensor.Q8), load(t, d, path)
			blank, err := BlankFrom(t.Context(), d, path, LoadOptions{DType: tensor.Q8})
			if err != nil {
				t.Fatal(err)
			}
			like := map[string]tensor.DType{}
			for name, p := range nn.Params(blank) {
				like[name] = p.Value.DType()
			}
			layout, err := m.Config.GGUFLayout()
			if err != nil {
				t.Fatal(err)
			}
			for name, p := range nn.Params(m) {
				want := tensor.F32
				if file, _ := layout.Name(name); p.Value.Rank() > 1 {
					want = tensor.Q8 + tensor.DType(kind(file))
				}
				if got := p.Value.DType(); got != want || like[name] != want {
					t.Errorf("%s is loaded as %s, planned as %s, want %s", name, got, like[name], want)
				}
			}
			// More rows than shaders of few rows take, which sum a row of blocks in another order than one of f32.
			b := Batch{Rows: 2, IDs: []int32{1, 5, 7, 2, 9, 3, 4, 30, 8, 6, 11, 12}}
			if want := logits(t, wide, b); !slices.Equal(logits(t, m, b), want) {
				t.Error("other logits than the dequantized f32 weights")
			}
			ids := generate(t, m, []int32{1, 15}, 5)
			if want := generate(t, wide, []int32{1, 15}, 5); !slices.Equal(ids, want) {
				t.Errorf("generated %v, the dequantized weights %v", ids, want)
			}
			folder := t.TempDir()
			if err := m.Save(folder); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(logits(t, load(t, d, folder), b), logits(t, wide, b)) {
				t.Error("saved as f32, the model has other logits")
			}
		})
	}
}

// Where q4 is asked for, Q8_0 becomes q4, and smaller blocks stay as they are.
func TestBlocksWhereQ4IsAsked(t *testing.T) {
	d := open(t)
	for kind, want := range map[quant.Type]tensor.DType{quant.Q8_0: tensor.Q4, quant.Q4_0: tensor.Q4,
		quant.Q6_K: tensor.Q6_K, quant.Q5_1: tensor.Q5_1} {
		m := loadAs(t, d, wideBlocks(t, func(string) quant.Type { return kind }), tensor.Q4)
		if got := m.Blocks[0].MLP.Up.(*nn.Linear).Weight.Value.DType(); got != want {
			t.Errorf("%s is loaded as %s where q4 is asked for, want %s", kind, got, want)
		}
	}
}

// Of a quantized file all that AsStored asks for stays as it lies, matrices in other types too, and gives the bits of f32;
// a file without blocks becomes f32, in which alone it computes.
func TestAsStored(t *testing.T) {
	d := open(t)
	f, err := gguf.Open(wideBlocks(t, ggufblocks.Q4_K_M))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var sources []gguf.Source
	for _, x := range f.Tensors() {
		kind, ok := map[string]gguf.Type{"token_embd.weight": gguf.F16, "output.weight": gguf.BF16,
			"blk.0.attn_k.weight": gguf.F32, "blk.1.attn_k.weight": gguf.Q8_0}[x.Name]
		if ok {
			values, err := x.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			if x, err = gguf.FromFloat32s(x.Name, kind, x.Shape, values); err != nil {
				t.Fatal(err)
			}
		}
		sources = append(sources, x.Source())
	}
	path := filepath.Join(t.TempDir(), "mixed.gguf")
	if err := gguf.Write(path, f.Metadata(), sources...); err != nil {
		t.Fatal(err)
	}
	m, err := Load(t.Context(), d, path, LoadOptions{AsStored: true})
	if err != nil {
		t.Fatal(err)
	}
	blank, err := BlankFrom(t.Context(), d, path, LoadOptions{AsStored: true})
	if err != nil {
		t.Fatal(err)
	}
	types := map[tensor.DType]int{}
	for _, p := range nn.Params(m) {
		types[p.Value.DType()]++
	}
	if types[tensor.F16] != 1 || types[tensor.BF16] != 1 || types[tensor.Q8] != 1 || types[tensor.F32] != 1+2*m.Config.Layers+1 {
		t.Errorf("stored as %v", types)
	}
	if got := m.Stored(); got[0] != tensor.Q4_K || !slices.Equal(got, blank.Stored()) {
		t.Errorf("stored as %v, planned as %v", got, blank.Stored())
	}
	b := Batch{Rows: 2, IDs: []int32{1, 5, 7, 2, 9, 3, 4, 30, 8, 6, 11, 12}}
	if !slices.Equal(logits(t, m, b), logits(t, load(t, d, path), b)) {
		t.Error("other logits than the dequantized f32 weights")
	}
	half, err := Load(t.Context(), d, path, LoadOptions{AsStored: true, ComputeDType: tensor.BF16})
	if err != nil || half.DType() != tensor.BF16 {
		t.Errorf("activations in %s, error %v", half.DType(), err)
	}

	wide := create(t, d, small("llama"))
	plain := saveGGUF(t, wide, GGUFOptions{DType: tensor.BF16})
	if m, err = Load(t.Context(), d, plain, LoadOptions{AsStored: true}); err != nil ||
		!slices.Equal(m.Stored(), []tensor.DType{tensor.F32}) {
		t.Errorf("a file in bf16 is %v, error %v", m.Stored(), err)
	}
	computed := LoadOptions{AsStored: true, ComputeDType: tensor.F16}
	blank, blankErr := BlankFrom(t.Context(), d, plain, computed)
	if m, err = Load(t.Context(), d, plain, computed); err != nil || blankErr != nil || m.DType() != tensor.F16 ||
		!slices.Equal(m.Stored(), []tensor.DType{tensor.F16}) || !slices.Equal(m.Stored(), blank.Stored()) {
		t.Errorf("a file in bf16, computed in f16, is %v, planned %v, error %v, %v", m.Stored(), blank.Stored(), err, blankErr)
	}
	for want, o := range map[string]LoadOptions{
		"computing in bf16 with weights in f32": {ComputeDType: tensor.BF16},
		"as stored and as q4":                   {AsStored: true, DType: tensor.Q4},
	} {
		if _, err := Load(t.Context(), d, plain, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got error %v, want %s", o, err, want)
		}
	}
}

// Scales that are no numbers name the tensor and the block; blocks that are only read are no type to ask for.
func TestBlocksRefused(t *testing.T) {
	path := wideBlocks(t, ggufblocks.Q4_K_M)
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	q, err := f.Tensor("blk.1.attn_q.weight")
	if err != nil {
		t.Fatal(err)
	}
	blocks := bytes.Clone(q.Data)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, blocks)
	f.Close()
	binary.LittleEndian.PutUint16(data[at+3*quant.Q4_K.Bytes(256)+2:], 0x7c00)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dt := range []tensor.DType{tensor.Q8, tensor.F32} {
		_, err = Load(t.Context(), open(t), path, LoadOptions{DType: dt})
		if err == nil ||
			!strings.Contains(err.Error(), "model.layers.1.self_attn.q_proj.weight: want finite scales of Q4_K") {
			t.Errorf("loading as %s a file with an infinite scale: error %v", dt, err)
		}
	}
	if _, err := Load(t.Context(), open(t), path, LoadOptions{DType: tensor.Q5_K}); err == nil ||
		!strings.Contains(err.Error(), "loading as q5_k: want f32, f16, bf16, q8, q4, q4_k or nf4") {
		t.Errorf("loading as q5_k: error %v", err)
	}
}

// A model in q4_k, quantized while it is loaded or while it is saved, is the same; embedding and head are q6_k, and
// rows of 32 but not of 256 numbers q8.
func TestQuantizedToQ4K(t *testing.T) {
	c := small("llama")
	c.Hidden, c.Intermediate, c.Heads, c.KVHeads, c.HeadDim, c.InitRange = 256, 544, 4, 2, 64, 0.05
	d := open(t)
	m := create(t, d, c)
	folder := t.TempDir()
	if err := m.Save(folder); err != nil {
		t.Fatal(err)
	}
	b := Batch{Rows: 2, IDs: []int32{1, 5, 7, 2, 9, 3, 4, 30, 8, 6, 11, 12}}
	direct := loadAs(t, d, folder, tensor.Q4_K)
	for name, p := range nn.Params(direct) {
		want := tensor.Q4_K
		switch {
		case p.Value.Rank() == 1:
			want = tensor.F32
		case name == embeddingName || name == headName:
			want = tensor.Q6_K
		case p.Value.Dim(1) == 544:
			want = tensor.Q8
		}
		if got := p.Value.DType(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	got := logits(t, direct, b)
	within(t, "q4_k", got, logits(t, m, b), 0.3)
	viaFile := loadAs(t, d, saveGGUF(t, m, GGUFOptions{DType: tensor.Q4_K}), tensor.Q4_K)
	if !slices.Equal(logits(t, viaFile, b), got) {
		t.Error("quantized while loading and while saving give other logits")
	}
}
