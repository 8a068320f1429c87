package gguf

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
)

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// A file that llama.cpp's converter made is read, and written again byte
// for byte.
func TestRealModel(t *testing.T) {
	path := filepath.Join(realdata.Folder(t), "models/llama-2-tiny-random/llama-2-tiny-random.gguf")
	f := open(t, path)
	shapes := map[string][]int{
		"token_embd.weight": {32000, 8}, "output.weight": {32000, 8}, "output_norm.weight": {8},
		"blk.0.attn_norm.weight": {8}, "blk.0.attn_q.weight": {8, 8}, "blk.0.attn_k.weight": {8, 8},
		"blk.0.attn_v.weight":      {8, 8},
		"blk.0.attn_output.weight": {8, 8}, "blk.0.ffn_norm.weight": {8}, "blk.0.ffn_gate.weight": {32, 8},
		"blk.0.ffn_up.weight": {32, 8}, "blk.0.ffn_down.weight": {8, 32},
	}
	if len(f.Tensors()) != len(shapes) {
		t.Errorf("%d tensors, want %d", len(f.Tensors()), len(shapes))
	}
	var sources []Source
	for _, x := range f.Tensors() {
		sources = append(sources, x.Source())
		typ := F16
		if len(x.Shape) == 1 {
			typ = F32
		}
		if x.Type != typ || !slices.Equal(x.Shape, shapes[x.Name]) {
			t.Errorf("%s: %s %v, want %s %v", x.Name, x.Type, x.Shape, typ, shapes[x.Name])
		}
		values, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if !(math.Abs(float64(v)) < 100) {
				t.Fatalf("%s: a weight of %v", x.Name, v)
			}
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if after := written(t, f.Metadata(), sources); !bytes.Equal(before, after) {
		t.Errorf("written again, %d bytes are others than the %d read", len(after), len(before))
	}
}

// The vocabularies of two GGUF files are the pieces, scores and types of the
// SentencePiece model that they were made of.
func TestRealVocabulary(t *testing.T) {
	dir := realdata.Folder(t)
	pieces, scores, types := sentencePieces(t, filepath.Join(dir, "tokenizer/llama2/tokenizer.model"))
	if len(pieces) != 32000 {
		t.Fatalf("%d pieces, want 32000", len(pieces))
	}
	for _, path := range []string{"tokenizer/llama2/ggml-vocab-llama-spm.gguf",
		"models/llama-2-tiny-random/llama-2-tiny-random.gguf"} {
		f := open(t, filepath.Join(dir, path))
		tokens, err := Get[[]string](f, "tokenizer.ggml.tokens")
		if err != nil || !slices.Equal(tokens, pieces) {
			t.Errorf("%s: other tokens, error %v", path, err)
		}
		if v, err := Get[[]float32](f, "tokenizer.ggml.scores"); err != nil || !slices.Equal(v, scores) {
			t.Errorf("%s: other scores, error %v", path, err)
		}
		if v, err := Get[[]int32](f, "tokenizer.ggml.token_type"); err != nil || !slices.Equal(v, types) {
			t.Errorf("%s: other types, error %v", path, err)
		}
	}
	f := open(t, filepath.Join(dir, "tokenizer/gpt2/ggml-vocab-gpt-2.gguf"))
	tokens, err := Get[[]string](f, "tokenizer.ggml.tokens")
	if err != nil || len(tokens) != 50257 || tokens[50256] != "<|endoftext|>" || len(f.Tensors()) != 0 {
		t.Errorf("gpt2: %d tokens, %d tensors, error %v", len(tokens), len(f.Tensors()), err)
	}
	merges, err := Get[[]string](f, "tokenizer.ggml.merges")
	if err != nil || len(merges) != 50000 || merges[0] != "Ġ t" {
		t.Errorf("gpt2: %d merges, error %v", len(merges), err)
	}
}

// sentencePieces reads a SentencePiece model, a protobuf message: field 1 is a piece,
// whose fields 1, 2 and 3 are its text, its score and its type, 1 if not said.
func sentencePieces(t *testing.T, path string) (pieces []string, scores []float32, types []int32) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	eachField(t, b, func(field int, _ uint64, data []byte) {
		if field != 1 {
			return
		}
		pieces, scores, types = append(pieces, ""), append(scores, 0), append(types, 1)
		i := len(pieces) - 1
		eachField(t, data, func(field int, number uint64, data []byte) {
			switch field {
			case 1:
				pieces[i] = string(data)
			case 2:
				scores[i] = math.Float32frombits(uint32(number))
			case 3:
				types[i] = int32(number)
			}
		})
	})
	return pieces, scores, types
}

// eachField visits the fields of a protobuf message.
func eachField(t *testing.T, b []byte, visit func(field int, number uint64, data []byte)) {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		b = b[n:]
		var number uint64
		var data []byte
		switch key & 7 {
		case 0:
			number, n = binary.Uvarint(b)
		case 2:
			length, k := binary.Uvarint(b)
			n = k + int(length)
			data = b[k:n]
		case 5:
			number, n = uint64(binary.LittleEndian.Uint32(b)), 4
		default:
			t.Fatalf("wire type %d", key&7)
		}
		visit(int(key>>3), number, data)
		b = b[n:]
	}
}

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile(filepath.Join(realdata.Folder(b), "models/llama-2-tiny-random/llama-2-tiny-random.gguf"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(724416) // of header
	for b.Loop() {
		if _, err := Parse("", data); err != nil {
			b.Fatal(err)
		}
	}
}
