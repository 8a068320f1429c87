package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/spectrum"
)

// Change is what training has done to the weights of the linear layers, each a mean over layers.
type Change struct {
	Relative float64   `json:"relative"`           // |ΔW| / |W|, Frobenius norms
	Scaling  float64   `json:"scaling"`            // root mean square of the scalings; 0 without
	Random   float64   `json:"random"`             // |s B₀ A₀|² / |ΔW|²: what the random start alone contributes
	Rank     float64   `json:"effective_rank"`     // of ΔW: see multilora.EffectiveRank
	Spectrum []float64 `json:"spectrum,omitempty"` // singular values, each layer's largest being 1
}

// watcher follows the change of one run.
type watcher struct {
	model   *llama.Model
	adapter *multilora.Adapter // nil: full tuning
	seed    uint64             // of the adapter's start
	random  bool               // it began at random
	layers  []watched
}

// watched is a layer as it began.
type watched struct {
	name   string
	norm   float64   // |W|
	weight []float64 // W, of full tuning
}

// watch begins before the first step.
func watch(model *llama.Model, adapter *multilora.Adapter, seed uint64) (*watcher, error) {
	w := &watcher{model: model, adapter: adapter, seed: seed}
	params := paramsOf(model)
	names := layersOf(params)
	if adapter != nil {
		names = adapter.Layers()
	}
	for _, name := range names {
		l := watched{name: name}
		p := params[name+".weight"]
		if p == nil || !p.Value.DType().IsFloat() { // |W| of a quantized layer is not known here
			continue
		}
		values, err := p.Value.Float64s()
		if err != nil {
			return nil, err
		}
		l.norm = norm(values)
		if adapter == nil {
			if min(p.Value.Dim(0), p.Value.Dim(1)) > spectrum.LargestFull {
				continue
			}
			l.weight = values
		}
		w.layers = append(w.layers, l)
	}
	return w, nil
}

func paramsOf(model *llama.Model) map[string]*nn.Param {
	params := map[string]*nn.Param{}
	for name, p := range nn.Params(model) {
		params[name] = p
	}
	return params
}

// layersOf names the linear layers of a model's blocks, in the order of their names.
func layersOf(params map[string]*nn.Param) (names []string) {
	for name := range params {
		if layer, ok := strings.CutSuffix(name, ".weight"); ok && strings.HasSuffix(layer, "_proj") {
			names = append(names, layer)
		}
	}
	slices.Sort(names)
	return names
}

// change is the change so far. The spectrum is added where it is wanted.
func (w *watcher) change(spectrum bool) (c Change, err error) {
	params := paramsOf(w.model)
	n := float64(max(1, len(w.layers)))
	squares, scalings := 0.0, 0
	for _, l := range w.layers {
		values, err := w.singular(l, params)
		if err != nil {
			return c, err
		}
		size := norm(values)
		c.Relative += size / l.norm / n
		c.Rank += multilora.EffectiveRank(values) / n
		if spectrum {
			if c.Spectrum == nil {
				c.Spectrum = make([]float64, len(values))
			}
			for i := range min(len(values), len(c.Spectrum)) {
				if values[0] > 0 {
					c.Spectrum[i] += values[i] / values[0] / n
				}
			}
		}
		s := params[l.name+".s"]
		if w.adapter == nil || s == nil {
			continue
		}
		scaling, err := s.Value.Float64s()
		if err != nil {
			return c, err
		}
		for _, v := range scaling {
			squares += v * v
		}
		scalings += len(scaling)
		if size > 0 && w.random {
			share, err := w.adapter.StartShare(l.name, w.seed)
			if err != nil {
				return c, err
			}
			c.Random += share / n
		}
	}
	if scalings > 0 {
		c.Scaling = math.Sqrt(squares / float64(scalings))
	}
	return c, nil
}

// singular are the singular values of a layer's ΔW, descending.
func (w *watcher) singular(l watched, params map[string]*nn.Param) ([]float64, error) {
	if w.adapter != nil {
		return w.adapter.SingularValues(l.name)
	}
	p := params[l.name+".weight"].Value
	delta, err := p.Float64s()
	if err != nil {
		return nil, err
	}
	for i := range delta {
		delta[i] -= l.weight[i]
	}
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(p.Dim(0), p.Dim(1), delta), mat.SVDNone) {
		return nil, fmt.Errorf("compare: the singular values of layer %s do not converge", l.name)
	}
	return svd.Values(nil), nil
}

func norm(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v * v
	}
	return math.Sqrt(sum)
}
