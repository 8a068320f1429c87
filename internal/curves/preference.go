package curves

import "github.com/agora-ml/agora/train"

// The curves of preference training, by their places in metrics.jsonl; see train.PreferenceMetrics. Those of
// held-out rows have held_out_ before their names.
const (
	Accuracy = "preference.accuracy"
	Margin   = "preference.margin"
	KL       = "preference.kl"
)

const ofHeldOut = "held_out_"

// preferenceKinds are the curves of preference training, those of held-out rows behind those of steps.
func preferenceKinds() (all []kind) {
	for _, k := range []struct {
		name, title string
		value       func(*train.PreferenceMetrics) *float64
	}{
		{Accuracy, "Preference accuracy", func(m *train.PreferenceMetrics) *float64 { return &m.Accuracy }},
		{Margin, "Reward margin", func(m *train.PreferenceMetrics) *float64 { return m.Margin }},
		{KL, "Divergence (KTO)", func(m *train.PreferenceMetrics) *float64 { return m.KL }},
	} {
		of := func(step bool) func(train.Record) *float64 {
			return func(r train.Record) *float64 {
				if r.Preference == nil || step != (r.Loss != nil) {
					return nil
				}
				return k.value(r.Preference)
			}
		}
		all = append(all, kind{name: k.name, title: k.title, heldOut: ofHeldOut + k.name, value: of(true)},
			kind{name: ofHeldOut + k.name, value: of(false)})
	}
	return all
}

// lossUnit is what a loss of the runs is counted in: those of preference training are of a pair or an answer.
func lossUnit(runs []Run) string {
	for _, r := range runs {
		if r.Curve(Accuracy).Len() > 0 {
			return "of a row"
		}
	}
	return natsAToken
}
