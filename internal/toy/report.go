package toy

import "github.com/agora-ml/agora/multilora"

// Report is what the experiment measured.
type Report struct {
	Parameters int            `json:"parameters"`  // of the base model
	Steps      int            `json:"steps"`       // of the base model, and of each adapter at each rate
	TestRows   int            `json:"test_rows"`   // of a task
	BaseScores []BaseScore    `json:"base_scores"` // of the tasks that the base model learned
	Scores     []TaskScore    `json:"scores"`      // of the new ones
	Methods    []MethodReport `json:"methods"`
	Seconds    float64        `json:"seconds"`
}

// BaseScore is how well one task is done: see Score.
type BaseScore struct {
	Task  string  `json:"task"`
	Score float64 `json:"score"`
}

// TaskScore is the score of one new task, before and after.
type TaskScore struct {
	Task      string  `json:"task"`
	Chance    float64 `json:"chance"`
	Base      float64 `json:"base"`
	LoRA      float64 `json:"lora"`
	MultiLoRA float64 `json:"multilora"`
}

// MethodReport is one method's rates, and the spectra at the best of them.
type MethodReport struct {
	Method         multilora.Method `json:"method"`
	Modules        int              `json:"modules"`
	Rank           int              `json:"rank"`    // of each module
	Trained        int              `json:"trained"` // parameters
	Rates          []RateReport     `json:"rates"`
	Rate           float64          `json:"rate"`            // the best of them
	ValidationLoss float64          `json:"validation_loss"` // at that
	Spectrum       []float64        `json:"spectrum"`        // mean over the layers, each layer's largest value being 1
	EffectiveRank  float64          `json:"effective_rank"`  // mean over the layers
	Layers         []LayerSpectrum  `json:"layers"`
}

// RateReport is a method at one learning rate.
type RateReport struct {
	Rate           float64 `json:"rate"`
	ValidationLoss float64 `json:"validation_loss"` // nats a letter
}

// LayerSpectrum is the singular values of one layer's update ΔW.
type LayerSpectrum struct {
	Layer          string    `json:"layer"`
	SingularValues []float64 `json:"singular_values"` // descending
	EffectiveRank  float64   `json:"effective_rank"`
}

// addSpectra analyses the adapter's layers, which all have as many singular values as
// the total rank.
func (m *MethodReport) addSpectra(a *multilora.Adapter) error {
	m.Spectrum = make([]float64, m.Modules*m.Rank)
	layers := a.Layers()
	for _, layer := range layers {
		values, err := a.SingularValues(layer)
		if err != nil {
			return err
		}
		rank := multilora.EffectiveRank(values)
		m.Layers = append(m.Layers, LayerSpectrum{layer, values, rank})
		m.EffectiveRank += rank
		for i, v := range values {
			if v > 0 { // all are zero after a step at rate 0
				m.Spectrum[i] += v / values[0]
			}
		}
	}
	m.EffectiveRank /= float64(len(layers))
	for i := range m.Spectrum {
		m.Spectrum[i] /= float64(len(layers))
	}
	return nil
}
