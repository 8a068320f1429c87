package preference

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/agora-ml/agora/random"
)

// answer draws an answer that a model finds likely or unlikely.
func answer(r *random.Stream) Answer {
	n := 1 + r.IntN(40)
	return Answer{LogProb: -float64(n) * (0.02 + 3*float64(r.Float32())),
		Reference: -float64(n) * (0.02 + 3*float64(r.Float32())), Tokens: n}
}

// near compares numbers relative to the larger of 1 and the one that is wanted.
func near(got, want, by float64) bool { return math.Abs(got-want) <= by*max(1, math.Abs(want)) }

// The losses as their papers write them, probabilities and all, where the losses under test never make a
// probability of a whole answer.
func TestLossesAreThoseOfThePapers(t *testing.T) {
	r := random.NewStream(1, random.Test, 0, 0)
	sigma := func(x float64) float64 { return math.Exp(x) / (1 + math.Exp(x)) }
	for range 200 {
		p := Pair{answer(r), answer(r)}
		w, l := p.Chosen, p.Rejected
		beta, smoothing := 0.05+0.5*float64(r.Float32()), 0.4*float64(r.Float32())
		// 2305.18290, equation 7: −log σ(β log π(yw)/πref(yw) − β log π(yl)/πref(yl)).
		h := beta*(w.LogProb-w.Reference) - beta*(l.LogProb-l.Reference)
		check := func(name string, got, want float64) {
			t.Helper()
			if !near(got, want, 1e-12) {
				t.Fatalf("%s of %+v at beta %v: got %v, want %v", name, p, beta, got, want)
			}
		}
		loss, _, _ := DPO{Beta: beta}.Loss(p)
		check("DPO", loss, -math.Log(sigma(h)))
		loss, _, _ = DPO{Beta: beta, LabelSmoothing: smoothing}.Loss(p)
		check("cDPO", loss, -(1-smoothing)*math.Log(sigma(h))-smoothing*math.Log(sigma(-h)))
		loss, _, _ = DPO{Kind: DPOHinge, Beta: beta}.Loss(p)
		check("hinge", loss, math.Max(0, 1-h))
		loss, _, _ = DPO{Kind: DPOIPO, Beta: beta}.Loss(p)
		mean := w.LogRatio()/float64(w.Tokens) - l.LogRatio()/float64(l.Tokens)
		check("IPO", loss, math.Pow(mean-1/(2*beta), 2))
		// 2403.07691, equations 4 and 7.
		odds := func(a Answer) float64 {
			likelihood := math.Exp(a.LogProb / float64(a.Tokens))
			return likelihood / (1 - likelihood)
		}
		loss, _, _ = ORPO{Lambda: beta}.OddsRatio(p)
		check("ORPO", loss, -beta*math.Log(sigma(math.Log(odds(w)/odds(l)))))
		// 2402.01306: λ_y − v(x, y).
		k := KTO{Beta: beta, Desirable: 1.5, Undesirable: 0.75}
		kl := 3 * float64(r.Float32())
		loss, _ = k.Loss(w, true, kl)
		check("KTO, desirable", loss, 1.5-1.5*sigma(beta*(w.LogRatio()-kl)))
		loss, _ = k.Loss(w, false, kl)
		check("KTO, undesirable", loss, 0.75-0.75*sigma(beta*(kl-w.LogRatio())))
	}
}

// Derivatives against central differences.
func TestDerivatives(t *testing.T) {
	r := random.NewStream(2, random.Test, 0, 0)
	losses := map[string]func(Pair) (loss, dChosen, dRejected float64){
		"DPO":   DPO{Beta: 0.1}.Loss,
		"cDPO":  DPO{Beta: 0.1, LabelSmoothing: 0.2}.Loss,
		"hinge": DPO{Kind: DPOHinge, Beta: 0.03}.Loss,
		"IPO":   DPO{Kind: DPOIPO, Beta: 0.1}.Loss,
		"ORPO":  ORPO{Lambda: 0.1}.OddsRatio,
		"KTO": func(p Pair) (loss, dChosen, dRejected float64) {
			k := KTO{Beta: 0.1, Desirable: 1, Undesirable: 1.33}
			a, da := k.Loss(p.Chosen, true, 0.7)
			b, db := k.Loss(p.Rejected, false, 0.7)
			return a + b, da, db
		},
	}
	const step = 1e-5
	for name, loss := range losses {
		for range 50 {
			p := Pair{answer(r), answer(r)}
			_, dChosen, dRejected := loss(p)
			for i, got := range []float64{dChosen, dRejected} {
				moved := func(by float64) float64 {
					q := p
					[]*Answer{&q.Chosen, &q.Rejected}[i].LogProb += by
					l, _, _ := loss(q)
					return l
				}
				if want := (moved(step) - moved(-step)) / (2 * step); !near(got, want, 1e-7) {
					t.Fatalf("%s of %+v: derivative %d is %v, central difference %v", name, p, i, got, want)
				}
			}
		}
	}
}

// A margin beyond what e to its power can be leaves losses and derivatives finite and right.
func TestFarApart(t *testing.T) {
	p := Pair{Answer{-5000, -10, 100}, Answer{-10, -5000, 100}}
	loss, dChosen, dRejected := DPO{Beta: 1}.Loss(p)
	if loss != 9980 || dChosen != -1 || dRejected != 1 {
		t.Errorf("DPO on the wrong side: %v, %v, %v", loss, dChosen, dRejected)
	}
	p.Chosen, p.Rejected = p.Rejected, p.Chosen
	if loss, dChosen, _ := (DPO{Beta: 1}).Loss(p); loss != 0 || dChosen != 0 {
		t.Errorf("DPO on the right side: %v, %v", loss, dChosen)
	}
	for _, a := range []Answer{{LogProb: 0, Tokens: 3}, {LogProb: -9e9, Tokens: 3}} {
		for _, b := range []Answer{{LogProb: 0, Tokens: 1}, {LogProb: -9e9, Tokens: 2}} {
			loss, dChosen, dRejected := ORPO{Lambda: 1}.OddsRatio(Pair{a, b})
			if s := loss + dChosen + dRejected; math.IsNaN(s) || math.IsInf(s, 0) || loss < 0 || dChosen > 0 ||
				dRejected < 0 {
				t.Errorf("ORPO of %v and %v: %v, %v, %v", a, b, loss, dChosen, dRejected)
			}
		}
	}
}

// Odds of a probability near 1 keep their digits: 1 − e^x by big numbers.
func TestOddsOfTheCertain(t *testing.T) {
	for _, mean := range []float64{-1e-3, -1e-5, -2e-7} {
		x := new(big.Float).SetPrec(200).SetFloat64(mean)
		rest, term := new(big.Float).SetPrec(200), new(big.Float).SetPrec(200).SetInt64(1)
		for i := int64(1); i < 20; i++ { // 1 − e^x = −Σ x^i / i!
			term.Mul(term, x).Quo(term, new(big.Float).SetInt64(i))
			rest.Sub(rest, term)
		}
		want, _ := rest.Float64()
		if got, _ := logOdds(Answer{LogProb: 4 * mean, Tokens: 4}); !near(got, mean-math.Log(want), 1e-14) {
			t.Errorf("log-odds at %v: got %v, want %v", mean, got, mean-math.Log(want))
		}
	}
}

func TestKL(t *testing.T) {
	for _, c := range []struct {
		ratios []float64
		want   float64
	}{{nil, 0}, {[]float64{1, 2, 6}, 3}, {[]float64{-4, 1}, 0}} {
		var all []Answer
		for _, x := range c.ratios {
			all = append(all, Answer{LogProb: x - 7, Reference: -7, Tokens: 1})
		}
		if got := KL(all); got != c.want {
			t.Errorf("log-ratios %v: %v, want %v", c.ratios, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		o    interface{ Validate() error }
		want string
	}{
		{DPO{Beta: 0.1}, ""},
		{DPO{Beta: 0}, "beta: want more than 0, got 0"},
		{DPO{Beta: math.NaN()}, "beta"},
		{DPO{Kind: "log", Beta: 1}, `want one of [sigmoid hinge ipo], got "log"`},
		{DPO{Beta: 1, LabelSmoothing: 0.5}, "label smoothing: want at least 0 and below 0.5, got 0.5"},
		{DPO{Kind: DPOIPO, Beta: 1, LabelSmoothing: 0.1}, "label smoothing: want 0 with the loss ipo"},
		{ORPO{Lambda: 0.1}, ""},
		{ORPO{}, "lambda: want more than 0, got 0"},
		{KTO{Beta: 0.1, Desirable: 1, Undesirable: 1}, ""},
		{KTO{}, "beta: want more than 0"},
		{KTO{Beta: 1, Desirable: -1}, "desirable weight: want at least 0, got -1"},
		{KTO{Beta: 1, Undesirable: math.NaN()}, "undesirable weight: want at least 0, got NaN"},
	} {
		if err := c.o.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.o, err, c.want)
		}
	}
}
