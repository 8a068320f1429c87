package multilora

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// The 291 tensors of LLaMA-7B take some 130 KB.
func TestFingerprintIsSmall(t *testing.T) {
	for name, most := range map[string]int{"llama-7b": 140 << 10, "llama-65b": 340 << 10} {
		c, _ := llama.Shape(name)
		m, err := llama.Blank(device.Meta(device.Options{}), c, llama.LoadOptions{DType: tensor.Q4})
		if err != nil {
			t.Fatal(err)
		}
		if f, err := fingerprint(m); f != nil || err != nil {
			t.Errorf("a model without values has the fingerprint %v (%v)", f, err)
		}
		f := &Fingerprint{}
		for name, p := range nn.Params(m) {
			sample := TensorSample{Name: name, Shape: p.Value.Shape()}
			for _, r := range sampled(name, p.Value.Numel()) {
				sample.Values = append(sample.Values, make([]float32, r.n)...)
			}
			f.Tensors = append(f.Tensors, sample)
		}
		text, err := Info{"base", "", Defaults(), f}.text()
		if err != nil || len(text) > most {
			t.Errorf("adapter.json of %s has %d bytes, want at most %d (%v)", name, len(text), most, err)
		}
		if info, err := parseInfo(text); err != nil || info.Fingerprint.Digest() != f.Digest() {
			t.Errorf("%s is read with error %v", name, err)
		}
		m.Device().Close()
	}
}

// Whatever is wrong with a fingerprint is named.
func TestBadFingerprints(t *testing.T) {
	f := &Fingerprint{[]TensorSample{
		{"a.weight", []int{2, 3}, []float32{1, 2, 3, float32(math.Inf(1)), float32(math.NaN()),
			float32(math.Copysign(0, -1))}},
		{"b.weight", []int{1}, []float32{7}},
	}}
	good, err := Info{"base", "", Defaults(), f}.text()
	if err != nil {
		t.Fatal(err)
	}
	info, err := parseInfo(good)
	if err != nil || info.Fingerprint.Digest() != f.Digest() ||
		!same(info.Fingerprint.Tensors[0].Values, f.Tensors[0].Values) {
		t.Fatalf("read %v, %v", info.Fingerprint, err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`[2,3]`, `[3,2]`, "field fingerprint.digest: want that of the tensors, "},
		{`[2,3]`, `[2,4]`, "field fingerprint.tensors[0].sample: want 8 numbers of 4 bytes, got 24 bytes"},
		{`[2,3]`, `[0,3]`, "field fingerprint.tensors[0].shape: want positive numbers whose product is one, got [0 3]"},
		{`[2,3]`, `[-2,-3]`, "field fingerprint.tensors[0].shape: want positive numbers"},
		{`[2,3]`, `[4294967296,4294967296,4294967296]`, "field fingerprint.tensors[0].shape: want positive numbers"},
		{`[2,3]`, `[1,1,1,1,1,1,1,2,3]`, "field fingerprint.tensors[0].shape: want at most 8 numbers, got 9"},
		{`b.weight`, `a.weight`, `field fingerprint.tensors[1].name: want another than before, got "a.weight"`},
		{`b.weight`, `c.weight`, "field fingerprint.digest: want that of the tensors, "},
		{`AACAPw`, `AACAP`, "field fingerprint.tensors[0].sample: want base64, got"},
		{`"digest": "` + f.Digest(), `"digest": "x`, `got "x`},
		{`"sample"`, `"simple"`, "field fingerprint.tensors[0].simple: want a known name"},
	} {
		text := strings.Replace(string(good), c.old, c.new, 1)
		if text == string(good) {
			t.Fatalf("%s is not in adapter.json", c.old)
		}
		if _, err := parseInfo([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: error %v, want %q", c.new, c.old, err, c.want)
		}
	}
	none := strings.Replace(string(good), string(good[strings.Index(string(good), `"tensors": [`):]),
		`"tensors": []}}`, 1)
	if _, err := parseInfo([]byte(none)); err == nil ||
		!strings.Contains(err.Error(), "field fingerprint.tensors: want those of a model, got none") {
		t.Errorf("without tensors: %v", err)
	}
}

// What is read from any adapter.json is written again as the same.
func FuzzInfo(f *testing.F) {
	print := &Fingerprint{[]TensorSample{{"model.norm.weight", []int{3}, []float32{1, -2, 0.5}},
		{"w", []int{2, 2}, []float32{1, 2, 3, 4}}}}
	for _, cfg := range kinds() {
		for _, p := range []*Fingerprint{nil, print} {
			text, err := Info{"some/base", "", cfg, p}.text()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	if text, err := os.ReadFile(filepath.Join(golden.Folder(f), "peft-lora", PEFTConfigFile)); err == nil {
		f.Add(text)
	}
	f.Add([]byte(`{"format": "agora-adapter", "version": 1, "fingerprint": {"digest": "", "tensors": [{"name": "", "shape": [], "sample": ""}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		info, err := parseInfo(text)
		if err != nil {
			if len(err.Error()) > 1000+len(text)/8 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		again, err := info.text()
		if err != nil {
			t.Fatal(err)
		}
		other, err := parseInfo(again)
		if err != nil {
			t.Fatalf("%v in\n%s", err, again)
		}
		if a, b := info.Fingerprint, other.Fingerprint; (a == nil) != (b == nil) ||
			a != nil && a.Digest() != b.Digest() {
			t.Errorf("fingerprint %v became %v", a, b)
		}
		if a, err := other.text(); err != nil || string(a) != string(again) {
			t.Errorf("written twice it is\n%s\nand\n%s (%v)", again, a, err)
		}
		if p := info.Fingerprint; p != nil {
			if d, err := p.compare(other.Fingerprint); err != nil || d != nil {
				t.Errorf("differs from itself: %v, %v", d, err)
			}
		}
		info.Fingerprint, other.Fingerprint = nil, nil
		if !reflect.DeepEqual(normal(info), normal(other)) {
			t.Errorf("%+v became %+v", info, other)
		}
	})
}

// normal has nil where nothing is listed.
func normal(i Info) Info {
	if len(i.Extra) == 0 {
		i.Extra = nil
	}
	if len(i.Ranks) == 0 {
		i.Ranks = nil
	}
	if len(i.Alphas) == 0 {
		i.Alphas = nil
	}
	return i
}
