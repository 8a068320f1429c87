package multilora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/tensor"
)

// The files of an adapter's folder.
const (
	// TensorFile has LAYER.A.i [r, in], LAYER.B.i [out, r], LAYER.s.i [1] or [out], with
	// Config.Bias LAYER.lora_bias [out], of DoRA LAYER.magnitude [out], and
	// for each parameter of Config.Extra extra.NAME in its shape, and of Config.Tokens
	// tokens.model.embed_tokens and tokens.lm_head [tokens, hidden]. All are f32.
	TensorFile = "adapter.safetensors"
	InfoFile   = "adapter.json"
)

// Info is what adapter.json says.
type Info struct {
	Base     string `json:"base"`                // the base model's name
	EOSToken string `json:"eos_token,omitempty"` // see Adapter
	Config
	// Fingerprint is the base model's; nil in files of earlier versions, and where it is not
	// known.
	Fingerprint *Fingerprint `json:"-"` // see text and parseInfo
}

// header makes adapter.json known as this project's, whatever its version.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

var ours = header{"agora-adapter", 1}

// maxInfo is more bytes than any adapter.json or adapter_config.json has.
const maxInfo = 1 << 20

// configKey is where the tensors' metadata repeat the configuration: a folder of which
// only one file was replaced is found out.
const configKey = "config"

// Save writes the adapter to a folder, which is made if need be. Each file is replaced
// atomically, and the bytes depend on the adapter alone.
func (a *Adapter) Save(dir string) error {
	var tensors []safetensors.Source
	var last string // the layer that was read last: the file has a layer's tensors one behind the other
	var modules []module
	for _, l := range a.layers {
		partsOf := func(ms []module) []part { return parts(l.name, l.base.Weight.Value, a.config.of(l.name), ms) }
		for i, p := range partsOf(make([]module, l.linear.options.Modules)) {
			tensors = append(tensors, safetensors.Float32sSource(p.name, p.shape, func() ([]float32, error) {
				if l.name != last {
					ms, err := l.linear.read()
					if err != nil {
						return nil, fmt.Errorf("multilora: saving layer %s: %w", l.name, err)
					}
					last, modules = l.name, ms
				}
				return *partsOf(modules)[i].data, nil
			}))
		}
	}
	for _, e := range a.extras {
		tensors = append(tensors, safetensors.Float32sSource(extraName(e.name), e.param.Value.Shape(), e.value().Float32s))
	}
	for _, r := range a.tokens {
		tensors = append(tensors, safetensors.Float32sSource(tokensName(r.name), r.Rows.Value.Shape(), r.Rows.Value.Float32s))
	}
	return writeFolder(dir, Info{a.Base, a.EOSToken, a.config, a.madeFor}, tensors...)
}

// writeFolder writes an adapter's folder from tensors named as in TensorFile.
func writeFolder(dir string, info Info, tensors ...safetensors.Source) error {
	if err := info.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	config, err := json.Marshal(info.Config)
	if err != nil {
		return err
	}
	metadata := map[string]string{configKey: string(config)}
	if err := safetensors.Write(filepath.Join(dir, TensorFile), metadata, tensors...); err != nil {
		return err
	}
	text, err := info.text()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, InfoFile), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// text is adapter.json: a line for each setting, and one for each tensor of the fingerprint.
func (i Info) text() ([]byte, error) {
	f := i.Fingerprint
	text, err := json.MarshalIndent(struct {
		header
		Info
	}{ours, i}, "", "  ")
	if err != nil || f == nil {
		return append(text, '\n'), err
	}
	b := bytes.NewBuffer(bytes.TrimSuffix(text, []byte("\n}")))
	fmt.Fprintf(b, ",\n  \"fingerprint\": {\n    \"digest\": %q,\n    \"tensors\": [\n", f.Digest())
	for k, t := range f.Tensors {
		line, err := json.Marshal(t.forJSON())
		if err != nil {
			return nil, err
		}
		b.WriteString("      ")
		b.Write(line)
		if k < len(f.Tensors)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("    ]\n  }\n}\n")
	return b.Bytes(), nil
}

// ReadInfo reads and checks a folder's adapter.json.
func ReadInfo(dir string) (Info, error) {
	path := filepath.Join(dir, InfoFile)
	text, err := readSmall(path)
	if err != nil {
		return Info{}, err
	}
	info, err := parseInfo(text)
	if err != nil {
		return Info{}, fmt.Errorf("%s: %w", path, err)
	}
	return info, nil
}

func readSmall(path string) ([]byte, error) {
	return regular.Read(path, maxInfo)
}

func parseInfo(text []byte) (Info, error) {
	var h header
	if err := strictjson.Unmarshal(text, &h); err != nil {
		return Info{}, fmt.Errorf("multilora: want a JSON object: %w", err)
	}
	if h.Format != ours.Format {
		return Info{}, fmt.Errorf("multilora: field format: want %q, got %q", ours.Format, h.Format)
	}
	if h.Version != ours.Version {
		return Info{}, fmt.Errorf("multilora: field version: want %d, got %d", ours.Version, h.Version)
	}
	var all struct {
		header
		Info
		Print *fingerprintJSON `json:"fingerprint"`
	}
	if err := strictjson.UnmarshalKnown(text, &all); err != nil {
		return Info{}, fmt.Errorf("multilora: %w", err)
	}
	f, err := all.Print.fingerprint()
	if err != nil {
		return Info{}, fmt.Errorf("multilora: %w", err)
	}
	all.Info.Fingerprint = f
	return all.Info, all.Validate()
}

// Load attaches the adapter of a folder to a model, as its own configuration says, and
// freezes the model. A model that is not the one the adapter was made for, or that holds the
// adapter already, is a *BaseError, unless the options say otherwise. After an error the model is as it was.
func Load(model Model, dir string, o Options) (*Adapter, error) {
	tensor.NotNil("multilora.Load", "a model", model)
	info, err := ReadInfo(dir)
	if err != nil {
		return nil, err
	}
	a, slots, err := prepare(model, info.Config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (the adapter was made for %q)", filepath.Join(dir, InfoFile), err, info.Base)
	}
	f, err := safetensors.Open(filepath.Join(dir, TensorFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := a.checkTensors(f, slots, info); err != nil {
		return nil, err
	}
	a.Base, a.EOSToken = info.Base, info.EOSToken
	for _, e := range a.extras {
		t, err := f.Tensor(extraName(e.name))
		if err != nil {
			return nil, err
		}
		values, err := t.Float32s()
		if err != nil {
			return nil, err
		}
		e.set(values)
	}
	for _, r := range a.tokens {
		t, err := f.Tensor(tokensName(r.name))
		if err != nil {
			return nil, err
		}
		values, err := t.Float32s()
		if err != nil {
			return nil, err
		}
		r.set(values)
	}
	for _, s := range slots {
		ms := make([]module, info.Modules)
		for _, p := range parts(s.name, s.base.Weight.Value, info.of(s.name), ms) {
			t, err := f.Tensor(p.name)
			if err != nil {
				return nil, err
			}
			if *p.data, err = t.Float32s(); err != nil {
				return nil, err
			}
		}
		l := newLinear(s.base, info.of(s.name))
		l.set(ms)
		a.layers = append(a.layers, adapted{s, l})
	}
	a.madeFor = info.Fingerprint
	if a.madeFor == nil {
		a.note = fmt.Sprintf(
			"%s does not say which model the adapter was made for (it is of an earlier version, or imported): "+
				"whether this is it cannot be checked", filepath.Join(dir, InfoFile))
	}
	if err := a.checkBase(model, dir, o); err != nil {
		return nil, err
	}
	return a, a.enter(model)
}

// checkTensors compares a file with what the configuration and the model want, before
// anything of that size is made.
func (a *Adapter) checkTensors(f *safetensors.File, slots []slot, info Info) error {
	config, err := json.Marshal(info.Config)
	if err != nil {
		return err
	}
	if got := f.Metadata()[configKey]; got != string(config) {
		return fmt.Errorf("multilora: %s: metadata %s: want that of %s, %s, got %s",
			f.Path(), configKey, InfoFile, config, quoted(got))
	}
	known := map[string]bool{}
	check := func(name string, shape []int, w *tensor.Tensor) error {
		t, err := f.Tensor(name)
		if err != nil {
			return fmt.Errorf("%w (the adapter was made for %q)", err, info.Base)
		}
		if t.DType != safetensors.F32 || !slices.Equal(t.Shape, shape) {
			return fmt.Errorf("multilora: %s: tensor %q: want F32 %v beside this model's weight %s, got %s %v"+
				" (the adapter was made for %q)",
				f.Path(), name, shape, w, t.DType, t.Shape, info.Base)
		}
		known[name] = true
		return nil
	}
	for _, s := range slots {
		w := s.base.Weight.Value
		for _, p := range parts(s.name, w, info.of(s.name), make([]module, info.Modules)) {
			if err := check(p.name, p.shape, w); err != nil {
				return err
			}
		}
	}
	for _, e := range a.extras {
		w := e.param.Value
		if err := check(extraName(e.name), w.Shape(), w); err != nil {
			return err
		}
	}
	for _, r := range a.tokens {
		if err := check(tokensName(r.name), r.shape(), r.base.Weight.Value); err != nil {
			return err
		}
	}
	for _, name := range f.Names() {
		if !known[name] {
			return fmt.Errorf("multilora: %s: tensor %s: want none of that name with %d modules on %d layers"+
				" and %d parameters beside them (the adapter was made for %q)",
				f.Path(), quoted(name), info.Modules, len(slots), len(a.extras), info.Base)
		}
	}
	return nil
}

// quoted shortens what a hostile file may have made very long.
func quoted(s string) string { return fmt.Sprintf("%.200q", s) }

func extraName(param string) string { return "extra." + param }

func tokensName(module string) string { return "tokens." + module }

// part is one tensor of a layer as it is saved.
type part struct {
	name  string
	shape []int
	data  *[]float32 // its numbers in the module
}

// parts lists the tensors of a layer and where in its modules they are.
func parts(layer string, weight *tensor.Tensor, cfg Config, ms []module) []part {
	out, in := weight.Dim(0), weight.Dim(1)
	var list []part
	for i := range ms {
		m := &ms[i]
		list = append(list,
			part{tensorName(layer, "A", i), []int{cfg.Rank, in}, &m.a},
			part{tensorName(layer, "B", i), []int{out, cfg.Rank}, &m.b})
		if cfg.learnsScaling() {
			list = append(list, part{tensorName(layer, "s", i), []int{cfg.scalings(out)}, &m.s})
		}
	}
	if cfg.Bias {
		list = append(list, part{layer + ".lora_bias", []int{out}, &ms[0].bias})
	}
	if cfg.Method == MethodDoRA {
		list = append(list, part{layer + ".magnitude", []int{out}, &ms[0].magnitude})
	}
	return list
}
