//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// lister is a device that compiles nothing and writes down what it should compile: a line of name, file of
// SPIR-V, size of subgroups and specialization constants, as tools/gpustats/probe reads them.
type lister struct {
	hardware
	dir, shader, job string
	lines            strings.Builder
}

func (l *lister) pipeline(code []byte, c *constants, subgroup int) (uint64, error) {
	file := filepath.Join(l.dir, l.shader+".spv")
	if err := os.WriteFile(file, code, 0o644); err != nil {
		return 0, err
	}
	fmt.Fprintf(&l.lines, "%s %s %d", l.job, file, subgroup)
	for i, v := range c {
		fmt.Fprintf(&l.lines, " %d=%d", i, v)
	}
	l.lines.WriteByte('\n')
	return 1, nil
}

// example is a call whose pipeline tools/gpustats looks at, with the types of its arguments: - is nil.
type example struct {
	name     string
	call     tensor.Kernel
	types    string
	matrices bool // it is left out where the device has no matrices of these types
}

// examples are calls as training and decoding have them.
func examples() (list []example) {
	add := func(name string, call tensor.Kernel, types string) {
		list = append(list, example{name: name, call: call, types: types})
	}
	matmul := func(m, n, k int, layout string) kernels.Matmul {
		return kernels.Matmul{Batch: 1, M: m, N: n, K: k, TransA: layout[0] == 'T', TransB: layout[1] == 'T'}
	}
	for _, layout := range []string{"NT", "NN", "TN"} {
		large := matmul(4096, 4096, 4096, layout)
		for _, t := range []string{"f32", "f16", "bf16"} {
			add(layout+"."+t, large, strings.Join([]string{t, t, t, "-"}, " "))
		}
		if layout != "TN" { // a weight is b
			add(layout+".f16xq4", large, "f16 f16 q4 -")
			add(layout+".f16xnf4", large, "f16 f16 nf4 -")
		}
		if layout == "NT" {
			for _, t := range []string{"q8", "q4_k", "q6_k", "u4"} {
				add(layout+".f16x"+t, large, "f16 f16 "+t+" -")
			}
		}
	}
	u, wide := matmul(2048, 24, 2048, "NT"), matmul(2048, 2048, 24, "NN") // products beside a LoRA of rank 24
	du, da, db := matmul(2048, 24, 2048, "NN"), matmul(24, 2048, 2048, "TN"), matmul(2048, 24, 2048, "TN")
	wide.Acc = true
	for _, t := range []string{"f16", "bf16"} {
		add("u."+t, u, strings.Join([]string{t, t, t, "-"}, " "))
		add("db."+t, db, strings.Join([]string{"f32", t, t, "-"}, " "))
	}
	add("u.f32", u, "f32 f32 f32 -")
	add("du.f16", du, "f32 f16 f16 -")
	add("dx.f16", wide, "f16 f32 f16 -")
	add("da.f16", da, "f32 f32 f16 -")
	// Those of adapters of rank 24 beside 2048 tokens, where q, k and v are computed together: u and its gradient are
	// stored by column.
	joined := func(shape string, width int, t, products string) {
		y, dx := matmul(2048, width, 24, "TT"), matmul(2048, width, 72, "TN")
		y.Acc, dx.Acc = true, true
		gradient := "f32" // of u
		if t == "bf16" {
			gradient = t
		}
		of := map[string]example{
			"u": {call: matmul(72, 2048, width, "NT"), types: "T T T -"}, "y": {call: y, types: "T T T -"},
			"du": {call: matmul(24, 2048, width, "TT"), types: "G T T -"}, "dx": {call: dx, types: "T G T -"},
			"da": {call: matmul(72, width, 2048, "NN"), types: "f32 G T -"},
			"db": {call: matmul(width, 24, 2048, "TT"), types: "f32 T T -"},
		}
		for _, p := range strings.Fields(products) {
			types := strings.NewReplacer("T", t, "G", gradient).Replace(of[p].types)
			add(fmt.Sprintf("joined.%s.%s.%s", shape, t, p), of[p].call, types)
		}
	}
	residual := matmul(2048, 2048, 24, "NT") // that of a block, added by the product of its last layer's modules
	residual.Acc, residual.BiasRows = true, 2048
	for _, t := range []string{"f32", "f16"} {
		add("residual."+t, residual, strings.Join([]string{t, t, t, t}, " "))
	}
	joined("7b", 4096, "f16", "u y du dx da db")
	joined("7b", 4096, "bf16", "y da")
	joined("110m", 768, "f16", "y dx da")
	one := matmul(1, 4096, 4096, "NT")
	add("m1.f16", one, "f16 f16 f16 -")
	add("m1.bf16", one, "bf16 bf16 bf16 -")
	for _, t := range []string{"q4", "q8", "q4_1", "q5_0", "q5_1", "iq4_nl", "q4_k", "q5_k", "q6_k", "nf4", "fp8", "u4"} {
		add("m1."+t, one, "f32 f32 "+t+" -")
	}
	add("m8.q4", matmul(8, 4096, 4096, "NT"), "f32 f32 q4 -")
	for _, t := range []string{"f32", "f16", "bf16"} {
		for _, d := range []int{64, 128} {
			a := kernels.Attention{Batch: 4, T: 1024, S: 1024, Heads: 32, KVHeads: 8, Scale: 0.1, HeadDim: d}
			name := fmt.Sprintf("d%d.%s", d, t)
			typed := func(types string) string { return strings.ReplaceAll(types, "T", t) }
			add(name, a, typed("T f32 T T T - - - -"))
			add(name, kernels.AttentionGradQ(a), typed("T f32 T T f32 T T T - - - -"))
			add(name, kernels.AttentionGradKV(a), typed("T T T f32 f32 T T T - - - -"))
			if t != "f32" { // as packed rows have them: with positions and segments
				add("packed."+name, a, typed("T f32 T T T i32 i32 i32 i32"))
				add("packed."+name, kernels.AttentionGradQ(a), typed("T f32 T T f32 T T T i32 i32 i32 i32"))
				add("packed."+name, kernels.AttentionGradKV(a), typed("T T T f32 f32 T T T i32 i32 i32 i32"))
				for i := range 3 {
					list[len(list)-1-i].matrices = t == "bf16"
				}
			}
			a.Batch, a.T = 1, 1
			add("m1."+name, a, typed("T - T T T - - - -"))
		}
	}
	add("f16", kernels.RMSNorm{Rows: 4096, Dim: 4096}, "f16 f32 f16 f16")
	add("bf16", kernels.RMSNorm{Rows: 4096, Dim: 4096}, "bf16 f32 bf16 bf16")
	add("f16", kernels.RMSNormGrad{Rows: 4096, Dim: 4096}, "f16 f16 f16 f16 f32 f16")
	add("f16", kernels.SwiGLU{N: 1 << 24}, "f16 f16 f16")
	add("f16", kernels.SwiGLUGrad{N: 1 << 24}, "f16 f16 f16 f16 f16")
	add("f16", kernels.RoPE{Rows: 4096, Seq: 1024, Heads: 32, Dim: 128, Positions: 1024, Sign: 1}, "f16 f16 f32 -")
	add("f32", kernels.CrossEntropy{Rows: 4096, Vocab: 32000}, "f32 f32 f32 i32")
	add("f32", kernels.CrossEntropyGrad{Rows: 4096, Vocab: 32000, Scale: 1}, "f32 f32 i32 f32 f32")
	add("f16", kernels.Add{N: 1 << 24, M: 1 << 24}, "f16 f16 f16")
	add("bf16", kernels.Add{N: 1 << 24, M: 1 << 24}, "bf16 bf16 bf16")
	add("f16", kernels.Cast{N: 1 << 24}, "f16 f32")
	add("bf16", kernels.Cast{N: 1 << 24}, "bf16 f32")
	add("f16", kernels.LoRAMirror{N: 1 << 20, Chunk: 1024, Count: 1}, "f16 f32 f32 - f32 i32 i32")
	add("f16", kernels.Permute{D0: 1, D1: 1, D2: 4, D3: 32, D4: 1024, D5: 128}, "f16 f16")
	add("f32", kernels.SumSquares{N: 1 << 24, Block: 1 << 16}, "f32 f32")
	add("f32", kernels.AdamW{N: 1 << 24}, "f32 f32 f32 - f32 f32")
	add("f32", kernels.LoRAScale{Out: 4096, Rank: 64, Modules: 4, Alpha: 1}, "f32 f32 f32")
	add("f32", kernels.LoRAScaleGrad{Out: 4096, Rank: 64, Modules: 4, Alpha: 1}, "f32 f32 f32 f32 f32")
	add("f16", kernels.Softmax{Rows: 4096, Dim: 4096}, "f16 f16")
	add("f32", kernels.LogSoftmax{Rows: 4096, Dim: 32000}, "f32 f32")
	add("f16", kernels.LayerNorm{Rows: 4096, Dim: 4096}, "f16 f32 f32 f16 f16 f16")
	add("f16", kernels.LayerNormGrad{Rows: 4096, Dim: 4096}, "f16 f16 f16 f16 f32 f32")
	add("f16", kernels.RMSNormGradWeight{Rows: 4096, Dim: 4096}, "f32 f16 f16 f32")
	add("columns.f16", kernels.Sum{Outer: 1, N: 4096, Inner: 4096, Scale: 1}, "f32 f16")
	return list
}

// TestListPipelines writes, for tools/gpustats, the pipelines that examples get on this device to the file
// pipelines in the folder AGORA_LIST_PIPELINES, and their SPIR-V beside it.
func TestListPipelines(t *testing.T) {
	dir := os.Getenv("AGORA_LIST_PIPELINES")
	if dir == "" {
		t.Skip("AGORA_LIST_PIPELINES is not set")
	}
	opened, err := Open(Options{CacheDir: NoCache})
	if err != nil {
		t.Fatal(err)
	}
	b := opened.(*backend)
	b.enough = manyGroups // a large card, whatever size the one has that seems to be there
	l := &lister{hardware: b.hw, dir: dir}
	b.hw = l
	for _, e := range examples() {
		if err := l.list(b, e); err != nil {
			t.Errorf("%s %s: %v", e.call.Name(), e.name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pipelines"), []byte(l.lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// list writes down the pipeline of one call.
func (l *lister) list(b *backend, e example) error {
	var args []tensor.Arg
	for _, name := range strings.Fields(e.types) {
		if name == "-" {
			args = append(args, tensor.Arg{})
			continue
		}
		dt, err := tensor.ParseDType(name)
		if err != nil {
			return err
		}
		args = append(args, tensor.Arg{DType: dt, Buf: &buffer{}})
	}
	k, err := b.kernel(e.call.Name())
	if err != nil {
		return err
	}
	v, err := k.variantOf(e.call, args)
	if err != nil {
		return err
	}
	f := k.form(v, e.call, args)
	if e.matrices && f.matrix.a == "" {
		return nil
	}
	l.shader = strings.TrimSuffix(f.name+"_"+f.matrix.a, "_")
	tile := f.tile(e.call, b.enough)
	l.job = strings.Trim(fmt.Sprintf("%s.%s.%dx%dx%d", f.name, e.name, tile[1], tile[2], tile[3]), ".")
	f.pipelines = map[variant]*pipeline{} // the same may be there by another name
	p, err := b.prepare(k, e.call, args)
	if err != nil {
		return err
	}
	<-p.pipeline.made
	return p.pipeline.err
}
