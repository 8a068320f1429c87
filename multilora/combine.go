package multilora

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/agora-ml/agora/internal/lowrank"
	"github.com/agora-ml/agora/random"
)

// CombineMethod says how several adapters become one. With the change ΔW_i of a layer that adapter
// i makes, scale and scalings included, and its weight w_i:
type CombineMethod string

// The methods. Their names and meanings are those of PEFT's add_weighted_adapter, but that TIES and
// DARE work on the changes, as in their papers (PEFT's ties_svd and so on), and not on A and B, and
// that the scale counts once (PEFT's svd methods have it in the change and in the weight).
const (
	// CombineCat is Σ w_i ΔW_i exactly (task arithmetic, 2212.04089): ranks add up.
	CombineCat CombineMethod = "cat"
	// CombineSVD is the nearest matrix of the given rank to Σ w_i ΔW_i.
	CombineSVD CombineMethod = "svd"
	// CombineLinear sums A and B themselves, each by the root of w_i and scale: as PEFT, for adapters
	// of equal rank. It is not Σ w_i ΔW_i, since every B meets every A.
	CombineLinear CombineMethod = "linear"
	// CombineTIES keeps the largest elements of each ΔW_i by magnitude, elects the sign of each
	// element by their sum, and takes the mean of the w_i ΔW_i that agree with it (2306.01708).
	CombineTIES CombineMethod = "ties"
	// CombineDARELinear keeps each element of each ΔW_i with probability Density and divides it by
	// that, before Σ w_i ΔW_i (2311.03099).
	CombineDARELinear CombineMethod = "dare-linear"
	// CombineDARETIES drops as CombineDARELinear does and goes on as CombineTIES.
	CombineDARETIES CombineMethod = "dare-ties"
)

// CombineMethods lists the methods.
func CombineMethods() []CombineMethod {
	return []CombineMethod{CombineCat, CombineSVD, CombineLinear, CombineTIES, CombineDARELinear, CombineDARETIES}
}

// CombineOptions say how Combine works.
type CombineOptions struct {
	Method  CombineMethod // "": CombineCat
	Weights []float64     // one an adapter; nil: all 1
	// Density is the part of the elements that TIES and DARE keep of each change of a layer, above
	// 0 and up to 1; 0: 0.2, the TIES paper's, and 0.5 for DARE.
	Density float64
	// Rank is that of the result for SVD, TIES and DARE; 0: a layer's largest among the adapters.
	Rank int
	Seed uint64 // of what DARE drops
}

// Combined tells what combining has made of one layer.
type Combined struct {
	Layer string `json:"layer"`
	Rank  int    `json:"rank"`
	// Lost is |got - want| / |want| by Frobenius norm, want being what the method asks for before
	// it is cut to the rank.
	Lost float64 `json:"lost"`
}

// Combine makes one LoRA of several adapters of one model. It is detached, and the adapters stay
// as they are. A layer that some of them do not adapt has a change of zero there. Adapters with
// parameters of the model beside their modules are refused.
func Combine(adapters []*Adapter, o CombineOptions) (*Adapter, []Combined, error) {
	if err := o.complete(adapters); err != nil {
		return nil, nil, err
	}
	slots := unionOf(adapters)
	first := adapters[0]
	c := &Adapter{Base: first.Base, EOSToken: commonEOS(adapters), model: first.model, madeFor: first.madeFor, match: first.match,
		note: first.note}
	var report []Combined
	for _, s := range slots {
		l, r, err := o.layer(s, adapters)
		if err != nil {
			return nil, nil, fmt.Errorf("multilora: combining layer %s: %w", s.name, err)
		}
		c.layers = append(c.layers, adapted{s, l})
		report = append(report, r)
	}
	c.targets = targetsOf(first.model, slots)
	most := report[0].Rank
	c.config = Config{
		Method: MethodLoRA, Modules: 1, Rank: most, Alpha: float64(most), Scaling: ScalingScalar, Targets: c.targets,
	}
	for _, r := range report {
		c.config.set(r.Layer, r.Rank, float64(r.Rank))
	}
	if err := c.config.Validate(); err != nil {
		return nil, nil, err
	}
	return c, report, c.device().Err()
}

// complete checks the options and puts in what they leave open.
func (o *CombineOptions) complete(adapters []*Adapter) error {
	if o.Method == "" {
		o.Method = CombineCat
	}
	if o.Weights == nil {
		o.Weights = slices.Repeat([]float64{1}, len(adapters))
	}
	if o.Density == 0 {
		o.Density = 0.5
		if o.Method == CombineTIES {
			o.Density = 0.2
		}
	}
	switch {
	case len(adapters) == 0:
		return errors.New("multilora: combine: want at least one adapter, got none")
	case !slices.Contains(CombineMethods(), o.Method):
		return fmt.Errorf("multilora: combine: method: want one of %v, got %q", CombineMethods(), o.Method)
	case len(o.Weights) != len(adapters):
		return fmt.Errorf("multilora: combine: want a weight for each of %d adapters, got %d", len(adapters),
			len(o.Weights))
	case !(o.Density > 0 && o.Density <= 1):
		return fmt.Errorf("multilora: combine: density: want above 0 and up to 1, got %g", o.Density)
	case o.Rank < 0 || o.Rank > maxRank:
		return fmt.Errorf("multilora: combine: rank: want 0 to %d, got %d", maxRank, o.Rank)
	}
	for i, a := range adapters {
		if w := o.Weights[i]; math.IsNaN(w) || math.IsInf(w, 0) {
			return fmt.Errorf("multilora: combine: weight %d: want a finite number, got %g", i+1, w)
		}
		if a == nil || a.model != adapters[0].model {
			return fmt.Errorf("multilora: combine: adapter %d: want adapters of one model, got another's", i+1)
		}
		if err := a.plain("combine"); err != nil {
			return err
		}
		if a.device().IsMeta() {
			return fmt.Errorf("multilora: combine: adapter %d: want numbers, got a device without any", i+1)
		}
	}
	return nil
}

// unionOf are the slots that any of the adapters has modules in, in the model's order.
func unionOf(adapters []*Adapter) (all []slot) {
	at := map[any]slot{}
	for _, a := range adapters {
		for _, l := range a.layers {
			at[l.place()] = l.slot
		}
	}
	for _, s := range anySlots(adapters[0].model) {
		if s, ok := at[s.place()]; ok {
			all = append(all, s)
		}
	}
	return all
}

// targetsOf are the shortest names that choose exactly these slots among a model's linear layers,
// whatever stands in them now.
func targetsOf(model Model, slots []slot) []string {
	return shortest(namesOf(slots), namesOf(anySlots(model)))
}

// change is one adapter's of a layer: B [out, r] with scale and scalings, and A [r, in].
type change struct {
	b, a    *mat.Dense
	weight  float64
	scale   float64 // that stands in b
	adapter int
}

// layer combines the changes of one layer.
func (o CombineOptions) layer(s slot, adapters []*Adapter) (*Linear, Combined, error) {
	var changes []change
	rank := o.Rank
	for i, a := range adapters {
		if _, err := a.find(s.name); err != nil {
			continue
		}
		b, lora, err := a.factors(s.name)
		if err != nil {
			return nil, Combined{}, err
		}
		changes = append(changes, change{b, lora, o.Weights[i], a.config.of(s.name).Scale(), i})
		if o.Rank == 0 {
			rank = max(rank, lora.RawMatrix().Rows)
		}
	}
	b, a, lost, err := o.combine(s.name, changes, rank)
	if err != nil {
		return nil, Combined{}, err
	}
	r, _ := a.Dims()
	l := newLinear(s.base, Config{Method: MethodLoRA, Modules: 1, Rank: r, Alpha: float64(r)})
	l.set([]module{{a: narrowed(a), b: narrowed(b)}})
	return l, Combined{Layer: s.name, Rank: r, Lost: lost}, nil
}

// combine gives the factors of the result, and what cutting it to a rank has lost.
func (o CombineOptions) combine(layer string, changes []change, rank int) (b, a *mat.Dense, lost float64, err error) {
	switch o.Method {
	case CombineCat:
		b, a = concatenated(changes)
		return b, a, 0, nil
	case CombineLinear:
		b, a, err = summed(changes)
		return b, a, 0, err
	case CombineSVD:
		b, a = concatenated(changes)
		s, err := lowrank.Product(b, a)
		if err != nil {
			return nil, nil, 0, err
		}
		b, a = s.Cut(rank).Factors()
		return b, a, ratio(norm2(s.S[min(rank, len(s.S)):]), norm2(s.S)), nil
	}
	var deltas []*mat.Dense
	var weights []float64
	for _, c := range changes {
		var delta mat.Dense
		delta.Mul(c.b, c.a)
		if o.Method == CombineTIES {
			trim(delta.RawMatrix().Data, o.Density)
		} else {
			drop(delta.RawMatrix().Data, o.Density, o.Seed, fmt.Sprintf("%s %d", layer, c.adapter))
		}
		deltas, weights = append(deltas, &delta), append(weights, c.weight)
	}
	want := deltas[0]
	if o.Method == CombineDARELinear {
		weightedSum(deltas, weights)
	} else {
		electedMean(deltas, weights)
	}
	s, err := largest(want, rank)
	if err != nil {
		return nil, nil, 0, err
	}
	b, a = s.Factors()
	var got mat.Dense
	got.Mul(b, a)
	got.Sub(&got, want)
	return b, a, ratio(mat.Norm(&got, 2), mat.Norm(want, 2)), nil
}

// largestWhole bounds the matrices that are decomposed as a whole: the time grows with the third
// power of their smaller side.
const largestWhole = 768

// largest are the largest singular values of a dense matrix.
func largest(m *mat.Dense, rank int) (lowrank.SVD, error) {
	if rows, columns := m.Dims(); min(rows, columns) > max(largestWhole, 2*rank) {
		return lowrank.Largest(m, rank, 0)
	}
	s, err := lowrank.Dense(m)
	return s.Cut(min(rank, len(s.S))), err
}

// concatenated gives factors of Σ w_i ΔW_i.
func concatenated(changes []change) (b, a *mat.Dense) {
	out, _ := changes[0].b.Dims()
	_, in := changes[0].a.Dims()
	rank := 0
	for _, c := range changes {
		rank += c.a.RawMatrix().Rows
	}
	b, a = mat.NewDense(out, rank, nil), mat.NewDense(rank, in, nil)
	at := 0
	for _, c := range changes {
		r := c.a.RawMatrix().Rows
		part := b.Slice(0, out, at, at+r).(*mat.Dense)
		part.Scale(c.weight, c.b)
		a.Slice(at, at+r, 0, in).(*mat.Dense).Copy(c.a)
		at += r
	}
	return b, a
}

// summed gives Σ sign(w_i) √|w_i c_i| B_i and Σ √|w_i c_i| A_i, c_i being the scale.
func summed(changes []change) (b, a *mat.Dense, err error) {
	for _, c := range changes {
		root := math.Sqrt(math.Abs(c.weight))
		var sb, sa mat.Dense
		sb.Scale(math.Copysign(root, c.weight)/math.Sqrt(c.scale), c.b)
		sa.Scale(root*math.Sqrt(c.scale), c.a)
		if a == nil {
			b, a = &sb, &sa
			continue
		}
		if want, got := a.RawMatrix().Rows, sa.RawMatrix().Rows; want != got {
			return nil, nil, fmt.Errorf("method %s: want adapters of one rank, got %d and %d", CombineLinear, want, got)
		}
		b.Add(b, &sb)
		a.Add(a, &sa)
	}
	return b, a, nil
}

// trim zeroes all but a part of the elements, those of the largest magnitude; of equal ones the
// first stay.
func trim(x []float64, density float64) {
	keep := int(density * float64(len(x)))
	if keep >= len(x) {
		return
	}
	sizes := make([]float64, len(x))
	for i, v := range x {
		sizes[i] = -math.Abs(v)
	}
	slices.Sort(sizes)
	least := -sizes[keep] // of the first that goes
	equal := 0            // to it, that stay
	for _, v := range sizes[:keep] {
		if -v == least {
			equal++
		}
	}
	for i, v := range x {
		switch size := math.Abs(v); {
		case size > least:
		case size == least && equal > 0:
			equal--
		default:
			x[i] = 0
		}
	}
}

// drop keeps each element with a probability and divides it by that.
func drop(x []float64, density float64, seed uint64, name string) {
	h := fnv.New64a()
	h.Write([]byte(name))
	id := h.Sum64()
	draw := random.NewStream(seed, random.Combine, uint32(id), uint32(id>>32))
	for i := range x {
		if float64(draw.Float32()) < density {
			x[i] /= density
		} else {
			x[i] = 0
		}
	}
}

// weightedSum leaves Σ w_i x_i in the first matrix.
func weightedSum(x []*mat.Dense, weights []float64) {
	each(x, func(values []float64) (sum float64) {
		for i, v := range values {
			sum += weights[i] * v
		}
		return sum
	})
}

// electedMean leaves TIES' mean of those that have the sign of the sum in the first matrix.
func electedMean(x []*mat.Dense, weights []float64) {
	each(x, func(values []float64) float64 {
		sum, agreed, n := 0.0, 0.0, 0
		for _, v := range values {
			sum += v
		}
		for i, v := range values {
			if v*sum > 0 {
				agreed, n = agreed+weights[i]*v, n+1
			}
		}
		return agreed / float64(max(1, n))
	})
}

// each replaces every element of the first matrix by a function of that element in all.
func each(x []*mat.Dense, f func(values []float64) float64) {
	values := make([]float64, len(x))
	first := x[0].RawMatrix().Data
	for k := range first {
		for i, m := range x {
			values[i] = m.RawMatrix().Data[k]
		}
		first[k] = f(values)
	}
}

func norm2(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

func narrowed(m *mat.Dense) []float32 {
	x := make([]float32, 0, len(m.RawMatrix().Data))
	for _, v := range m.RawMatrix().Data {
		x = append(x, float32(v))
	}
	return x
}
