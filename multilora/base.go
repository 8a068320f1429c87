package multilora

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"github.com/agora-ml/agora/nn"
)

// Options of Open, Load, LoadPEFT and LoadGGUF. The zero value is right for most.
type Options struct {
	// AnyBase lets an adapter stand beside a model that it was not made for, or that holds
	// it already: Adapter.Base tells.
	AnyBase bool
	// Continue makes the model the one that the adapter was made for, because it trains on
	// beside it.
	Continue bool
}

// Match says how the model that an adapter stands beside compares with the one that it was
// made for.
type Match string

// The matches.
const (
	// MatchSame is the same model: all sampled numbers have the same bits.
	MatchSame Match = "same"
	// MatchStorage is the same model in another storage type: rounding explains every
	// difference.
	MatchStorage Match = "other-storage"
	// MatchUnknown is an adapter that does not say what it was made for: one of PEFT's form,
	// of GGUF, or of an earlier version.
	MatchUnknown Match = "unknown"
	// MatchOther is another model, or one that holds the adapter already (see Options).
	MatchOther Match = "other"
)

// BaseError is an adapter beside a model that it was not made for, or that holds it already.
type BaseError struct {
	Path   string // of the adapter; "" if it came from none
	Holds  bool   // the model holds the adapter
	Reason string // what shows it
}

func (e *BaseError) Error() string {
	want := "the model that the adapter was made for, got another one"
	if e.Holds {
		want = "a model without this adapter, got one that holds it already"
	}
	path := e.Path
	if path != "" {
		path += ": "
	}
	return fmt.Sprintf("multilora: %swant %s: %s (--force goes on)", path, want, e.Reason)
}

// Match is how the model compares with the one that the adapter was made for.
func (a *Adapter) Match() Match { return a.match }

// MatchNote says in a line what a user should know of the match; "" where there is nothing.
func (a *Adapter) MatchNote() string { return a.note }

// Fingerprint is that of the model that the adapter was made for; nil if it is not known.
func (a *Adapter) Fingerprint() *Fingerprint { return a.madeFor }

// checkBase compares the model, as it is without the adapter, with the one that the adapter
// was made for. path is the adapter's.
func (a *Adapter) checkBase(model Model, path string, o Options) error {
	wrong, err := a.compareBase(model)
	if err != nil {
		return err
	}
	if o.Continue {
		if a.madeFor, err = fingerprint(model); err != nil {
			return err
		}
	}
	if wrong == nil {
		return nil
	}
	wrong.Path = path
	if !o.AnyBase {
		return wrong
	}
	what := "the model is not the one that the adapter was made for"
	if wrong.Holds {
		what = "the model holds the adapter already, and has it twice now"
	}
	a.match, a.note = MatchOther, fmt.Sprintf("warning: %s: %s: %s", path, what, wrong.Reason)
	return nil
}

// compareBase finds out how the model matches, and what is wrong if it does not.
func (a *Adapter) compareBase(model Model) (*BaseError, error) {
	a.match = MatchUnknown
	if a.device().IsMeta() {
		return nil, nil
	}
	if merged(model) {
		digest, err := a.Digest()
		if err != nil {
			return nil, err
		}
		if holds(model, digest) {
			return &BaseError{Holds: true, Reason: fmt.Sprintf(
				"its configuration lists the adapter's digest, %.16s…, among those merged into it", digest)}, nil
		}
	}
	if a.madeFor == nil {
		return nil, nil
	}
	now, err := fingerprint(model)
	if err != nil {
		return nil, err
	}
	d, err := a.madeFor.compare(now)
	switch {
	case err != nil:
		return &BaseError{Reason: err.Error()}, nil
	case d == nil:
		a.match = MatchSame
		return nil, nil
	case d.other == 0:
		a.match = MatchStorage
		a.note = fmt.Sprintf("the model is the one that the adapter was made for, in another storage: %s", d)
		return nil, nil
	}
	if holds, err := a.explains(a.madeFor, now); err != nil {
		return nil, err
	} else if holds {
		return &BaseError{Holds: true, Reason: "its weights are the adapter's base with the adapter added"}, nil
	}
	return &BaseError{Reason: d.String()}, nil
}

// differences of the samples of two models with the same parameters.
type differences struct {
	tensors, other int      // parameters whose samples have other bits; those of them that rounding does not explain
	first          string   // of other, or of tensors
	was, is        rounding // of the first
	numbers        int      // of the first, that rounding does not explain
	most           float64  // by which they differ
}

// Of the numbers of one parameter, and of all, that may have been rounded twice (see
// comparison.twice).
const (
	mostTwiceInOne = 0.25
	mostTwice      = 0.1
)

func (d *differences) String() string {
	if d.other == 0 {
		return fmt.Sprintf("%s there, %s here (%d tensors differ, by rounding alone)", d.was.storage, d.is.storage,
			d.tensors)
	}
	largest := 0.0
	for _, v := range d.was.values {
		largest = max(largest, math.Abs(float64(v)))
	}
	return fmt.Sprintf("tensor %q: %d of %d sampled numbers differ, by up to %.2g where the largest is %.2g"+
		" (%d tensors differ)",
		d.first, d.numbers, len(d.was.values), d.most, largest, d.other)
}

// compare gives nil for the same model, or the differences; the error is of a model with
// other parameters.
func (f *Fingerprint) compare(now *Fingerprint) (*differences, error) {
	known := map[string]TensorSample{}
	for _, t := range now.Tensors {
		known[t.Name] = t
	}
	for _, t := range f.Tensors {
		other, ok := known[t.Name]
		if !ok {
			return nil, fmt.Errorf("tensor %s: want shape %v, got no such tensor", quoted(t.Name), t.Shape)
		}
		if !slices.Equal(t.Shape, other.Shape) {
			return nil, fmt.Errorf("tensor %q: want shape %v, got %v", t.Name, t.Shape, other.Shape)
		}
		delete(known, t.Name)
	}
	for _, t := range now.Tensors {
		if _, left := known[t.Name]; left {
			return nil, fmt.Errorf("tensor %q: want no such tensor, got shape %v", t.Name, t.Shape)
		}
	}
	was, is := f.roundings(), map[string]rounding{}
	for i, r := range now.roundings() {
		is[now.Tensors[i].Name] = r
	}
	all := make([]comparison, len(was))
	twice, numbers := 0, 0
	for i, t := range f.Tensors {
		other := is[t.Name]
		all[i] = was[i].compare(&other)
		twice += all[i].twice
		numbers += len(t.Values)
	}
	d := &differences{}
	for i, t := range f.Tensors {
		old, new := was[i], is[t.Name]
		if same(old.values, new.values) {
			continue
		}
		c := all[i]
		if float64(c.twice) > max(mostTwiceInOne*float64(len(t.Values)), 4) ||
			float64(twice) > mostTwice*float64(numbers) {
			c.differ += c.twice
		}
		if d.tensors == 0 || c.differ > 0 && d.other == 0 {
			d.first, d.was, d.is, d.numbers, d.most = t.Name, old, new, c.differ, c.most
		}
		d.tensors++
		if c.differ > 0 {
			d.other++
		}
	}
	if d.tensors == 0 {
		return nil, nil
	}
	return d, nil
}

// Digest is a SHA-256, in hexadecimal, of what the adapter adds to the layers' weights: A and
// the scaled B of all its modules. It is the same in every form that the adapter is saved in.
func (a *Adapter) Digest() (string, error) {
	h := sha256.New()
	for _, l := range a.layers {
		b, lora, err := l.factors32()
		if err != nil {
			return "", fmt.Errorf("multilora: digest of layer %s: %w", l.name, err)
		}
		fmt.Fprintf(h, "%q %d ", l.name, l.linear.A.Value.Shape())
		h.Write(littleEndian(lora))
		h.Write(littleEndian(b))
		for _, p := range []*nn.Param{l.linear.Bias, l.linear.Magnitude} {
			if p == nil {
				continue
			}
			values, err := p.Value.Float32s()
			if err != nil {
				return "", fmt.Errorf("multilora: digest of layer %s: %w", l.name, err)
			}
			h.Write(littleEndian(values))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// factors32 are scaled B [out, n r] and A [n r, in] of a layer, whose product is ΔW.
func (l adapted) factors32() (b, lora []float32, err error) {
	scope := l.base.Weight.Value.Device().Scope()
	defer scope.Close()
	if b, err = l.linear.scaledB().Float32s(); err != nil {
		return nil, nil, err
	}
	for i, v := range b {
		if v == 0 { // of one sign, which scaling by 1 does not keep
			b[i] = 0
		}
	}
	lora, err = l.linear.A.Value.Float32s()
	return b, lora, err
}

// explains reports whether the adapter itself is the difference between two models.
func (a *Adapter) explains(base, now *Fingerprint) (bool, error) {
	with := base.roundings() // and then with the adapter in the values
	at := map[string]int{}
	for i, t := range base.Tensors {
		at[t.Name] = i
	}
	for _, l := range a.layers {
		i, ok := at[l.name+".weight"]
		if !ok {
			return false, nil
		}
		b, lora, err := l.factors32()
		if err != nil {
			return false, err
		}
		rank, in := l.linear.A.Value.Dim(0), l.linear.A.Value.Dim(1)
		var values []float32
		for _, p := range sampled(l.name+".weight", len(b)/rank*in) {
			for at := p.from; at < p.from+p.n; at++ {
				sum := float64(with[i].values[len(values)])
				for r := range rank {
					sum += float64(b[at/in*rank+r]) * float64(lora[r*in+at%in])
				}
				values = append(values, float32(sum))
			}
		}
		with[i].values = values
	}
	for _, e := range a.extras {
		values, err := e.own.Value.Float32s()
		if err != nil {
			return false, err
		}
		i := at[e.name]
		with[i].values = nil
		for _, p := range sampled(e.name, len(values)) {
			with[i].values = append(with[i].values, values[p.from:p.from+p.n]...)
		}
	}
	for _, r := range a.tokens {
		values, err := r.Rows.Value.Float32s()
		if err != nil {
			return false, err
		}
		sample, dim := with[at[r.name+".weight"]].values, r.Rows.Value.Dim(1)
		k := 0
		for _, p := range sampled(r.name+".weight", r.base.Weight.Value.Numel()) {
			for n := p.from; n < p.from+p.n; n++ {
				if i := slices.Index(r.ids, int32(n/dim)); i >= 0 {
					sample[k] = values[i*dim+n%dim]
				}
				k++
			}
		}
	}
	is := map[string]rounding{}
	for i, r := range now.roundings() {
		is[now.Tensors[i].Name] = r
	}
	for i := range with {
		other := is[base.Tensors[i].Name]
		if !with[i].near(&other) {
			return false, nil
		}
	}
	return true, nil
}
