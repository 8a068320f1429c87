package train

import (
	"math"

	"github.com/agora-ml/agora/data"
)

// PreferenceMetrics are what a step or a measurement of preference training tells beside its loss.
type PreferenceMetrics struct {
	Answers int `json:"answers"`
	// Accuracy is the share of pairs whose chosen answer has the higher reward, where a tie is half a pair. With
	// KTO it is the share of answers that are on the side of the divergence where their label wants them.
	Accuracy float64 `json:"accuracy"`
	// ChosenReward and RejectedReward are the mean rewards of answers, Margin is the difference; nil where there
	// are none of a kind. With DPO and KTO a reward is β log π/π_ref, with ORPO λ times the mean log-probability
	// of a token.
	ChosenReward   *float64 `json:"chosen_reward"`
	RejectedReward *float64 `json:"rejected_reward"`
	Margin         *float64 `json:"margin"`
	// ChosenLogProb and RejectedLogProb are the mean log-probabilities of whole answers.
	ChosenLogProb   *float64 `json:"chosen_log_prob"`
	RejectedLogProb *float64 `json:"rejected_log_prob"`
	KL              *float64 `json:"kl"` // KTO's estimate; nil without
}

// scalars are the metrics as curves of TensorBoard.
func (m *PreferenceMetrics) scalars(prefix string, add func(tag string, v float64)) {
	if m == nil {
		return
	}
	add(prefix+"accuracy", m.Accuracy)
	for _, s := range []struct {
		tag   string
		value *float64
	}{
		{"margin", m.Margin}, {"chosen_reward", m.ChosenReward}, {"rejected_reward", m.RejectedReward},
		{"chosen_log_prob", m.ChosenLogProb}, {"rejected_log_prob", m.RejectedLogProb}, {"kl", m.KL},
	} {
		if s.value != nil {
			add(prefix+s.tag, *s.value)
		}
	}
}

// metrics tells of answers. What is not finite is nil: JSON has no such numbers.
func (p *Preference) metrics(answers []judgedAnswer, kl float64) *PreferenceMetrics {
	var reward, logProb mean
	m := &PreferenceMetrics{Answers: len(answers)}
	right := 0.0
	for i, a := range answers {
		reward.add(a.judgment, p.reward(a))
		logProb.add(a.judgment, a.LogProb)
		switch ahead := p.ahead(answers, i, kl); {
		case ahead > 0:
			right++
		case ahead == 0:
			right += 0.5
		}
	}
	m.Accuracy = right / float64(p.totalsOf(answers, kl).units)
	m.ChosenReward, m.RejectedReward = reward.of(data.Chosen), reward.of(data.Rejected)
	m.ChosenLogProb, m.RejectedLogProb = logProb.of(data.Chosen), logProb.of(data.Rejected)
	if m.ChosenReward != nil && m.RejectedReward != nil {
		margin := *m.ChosenReward - *m.RejectedReward
		m.Margin = &margin
	}
	if p.Objective == KTO && finite(kl) {
		m.KL = &kl
	}
	return m
}

// ahead is how far an answer is on the right side: of the rejected one, or of KTO's divergence. Rejected ones of
// pairs say nothing of their own, which is NaN.
func (p *Preference) ahead(answers []judgedAnswer, i int, kl float64) float64 {
	a := answers[i]
	switch {
	case p.Objective.hasPairs() && a.judgment == data.Chosen:
		return p.reward(a) - p.reward(answers[i+1])
	case p.Objective.hasPairs():
		return math.NaN()
	case a.judgment == data.Chosen:
		return a.LogRatio() - kl
	}
	return kl - a.LogRatio()
}

// mean is the mean of a number over answers of each judgment.
type mean struct {
	sum   [3]float64
	count [3]int
}

func (m *mean) add(j data.Judgment, x float64) {
	m.sum[j] += x
	m.count[j]++
}

func (m *mean) of(j data.Judgment) *float64 {
	x := m.sum[j] / float64(m.count[j])
	if !finite(x) {
		return nil
	}
	return &x
}
