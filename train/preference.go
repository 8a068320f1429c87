package train

import (
	"errors"
	"fmt"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/preference"
)

// Preference makes of a Trainer's steps such of preference training: on batches of judged answers.
//
// The log-probabilities of answers come from the device, as sums over tokens in float64; what follows of them,
// losses and a gradient for each answer, is computed on the host by package preference. The reference is the
// model without its adapter, so it takes no memory. What it says of an answer is computed anew in each step,
// without a tape, in the same batch as the model's own: then both have the same bits as long as the adapter is
// silent, and a run that goes on knows what one that never ended does.
type Preference struct {
	Objective Objective // DPO, ORPO or KTO
	DPO       preference.DPO
	ORPO      preference.ORPO
	KTO       preference.KTO
	Adapter   *multilora.Adapter // of the model; ORPO needs none
	MaxTokens int                // of an answer behind another's prompt (KTO); 0: the model's positions
}

// newPreference is what cfg says of preference training; nil: nothing.
func (c *Config) newPreference(adapter *multilora.Adapter) *Preference {
	if c.Objective == SFT {
		return nil
	}
	return &Preference{
		Objective: c.Objective, Adapter: adapter, MaxTokens: c.MaxTokens,
		DPO:  preference.DPO{Kind: c.DPOLoss, Beta: c.Beta, LabelSmoothing: c.LabelSmoothing},
		ORPO: preference.ORPO{Lambda: c.ORPOLambda},
		KTO:  preference.KTO{Beta: c.Beta, Desirable: c.DesirableWeight, Undesirable: c.UndesirableWeight},
	}
}

// judgedAnswer is a sequence of a batch: an answer and its judgment.
type judgedAnswer struct {
	preference.Answer
	prompt   prompt
	judgment data.Judgment
	task     int
}

// prompt is what stands before an answer, where it counts as well: ORPO with the loss on all learns it.
type prompt struct {
	logProb float64
	tokens  int
}

// answersOf lists the sequences of a batch, row by row. Of pairs the rejected ones stand behind the chosen ones.
func (p *Preference) answersOf(b data.Batch) ([]judgedAnswer, error) {
	var all []judgedAnswer
	for r, row := range b.Judgments {
		for s, judgment := range row {
			all = append(all, judgedAnswer{judgment: judgment, task: b.Tasks[r][s]})
			pairing := p.Objective.hasPairs() && (judgment == data.Chosen) != (len(all)%2 == 1)
			if judgment == data.Unjudged || pairing {
				want := "chosen and rejected answers"
				if p.Objective.hasPairs() {
					want = "pairs of " + want
				}
				return nil, fmt.Errorf("train: %s: want %s for %s, got a sequence of judgment %q", b.Sources[r][s],
					want, p.Objective, judgment)
			}
		}
	}
	if p.Objective.hasPairs() && len(all)%2 != 0 {
		return nil, fmt.Errorf("train: want pairs of answers, got %d answers", len(all))
	}
	eachToken(b, func(_, answer int, inPrompt bool) {
		if inPrompt {
			all[answer].prompt.tokens++
			return
		}
		all[answer].Tokens++
	})
	for _, a := range all {
		if a.Tokens == 0 {
			return nil, errors.New("train: want answers with a token that counts, got one without")
		}
	}
	return all, nil
}

// eachToken calls f with the number of each token that counts, among those of the batch, that of the sequence
// that it is of, and whether it stands before the answer there.
func eachToken(b data.Batch, f func(token, answer int, inPrompt bool)) {
	token, first := 0, 0 // first sequence of the row
	for r, row := range b.Judgments {
		for i := r * b.Len(); i < (r+1)*b.Len(); i++ {
			if b.Labels[i] == data.Ignored {
				continue
			}
			segment := int(b.Segments[i])
			f(token, first+segment, int(b.Positions[i]) < b.Answers[r][segment])
			token++
		}
		first += len(row)
	}
}

// sums are the log-probabilities of a batch's sequences, from the losses of its tokens.
func sums(b data.Batch, losses []float64) []sequenceSum {
	var all []sequenceSum
	for _, row := range b.Judgments {
		all = append(all, make([]sequenceSum, len(row))...)
	}
	eachToken(b, func(token, answer int, inPrompt bool) {
		if inPrompt {
			all[answer].prompt -= losses[token]
			return
		}
		all[answer].answer -= losses[token]
	})
	return all
}

// sequenceSum is the log-probability of a sequence.
type sequenceSum struct{ prompt, answer float64 }

// totals are what losses of answers are divided by, and what they are compared with.
type totals struct {
	units  int     // pairs, or answers with KTO
	tokens int     // of chosen answers, and of prompts that count
	kl     float64 // of KTO
}

func (p *Preference) totalsOf(answers []judgedAnswer, kl float64) totals {
	w := totals{units: len(answers), kl: kl}
	if p.Objective.hasPairs() {
		w.units /= 2
	}
	for _, a := range answers {
		if a.judgment == data.Chosen {
			w.tokens += a.Tokens + a.prompt.tokens
		}
	}
	return w
}

// loss is the share that answers have in the loss of all, and its derivatives by their
// log-probabilities.
func (p *Preference) loss(answers []judgedAnswer, w totals) (loss float64, gradient []float64) {
	gradient = make([]float64, len(answers))
	n := float64(w.units)
	switch p.Objective {
	case KTO:
		for i, a := range answers {
			l, d := p.KTO.Loss(a.Answer, a.judgment == data.Chosen, w.kl)
			loss += l / n
			gradient[i] = d / n
		}
	default:
		for i := 0; i < len(answers); i += 2 {
			pair := preference.Pair{Chosen: answers[i].Answer, Rejected: answers[i+1].Answer}
			if p.Objective == DPO {
				l, chosen, rejected := p.DPO.Loss(pair)
				loss += l / n
				gradient[i], gradient[i+1] = chosen/n, rejected/n
				continue
			}
			l, chosen, rejected := p.ORPO.OddsRatio(pair)
			loss += l/n - (pair.Chosen.LogProb+answers[i].prompt.logProb)/float64(w.tokens)
			gradient[i], gradient[i+1] = chosen/n-1/float64(w.tokens), rejected/n
		}
	}
	return loss, gradient
}

// reward is what the model's log-probability is worth, as the objective has it.
func (p *Preference) reward(a judgedAnswer) float64 {
	switch p.Objective {
	case DPO:
		return p.DPO.Reward(a.Answer)
	case ORPO:
		return p.ORPO.Reward(a.Answer)
	}
	return p.KTO.Reward(a.Answer)
}

// lossesByTask are the losses of the answers of each task, each as if they were all.
func (p *Preference) lossesByTask(tasks int, answers []judgedAnswer, kl float64) []TaskLoss {
	of := make([][]judgedAnswer, tasks)
	for _, a := range answers {
		of[a.task] = append(of[a.task], a)
	}
	all := make([]TaskLoss, tasks)
	for task, some := range of {
		if len(some) == 0 {
			continue
		}
		all[task].Loss, _ = p.loss(some, p.totalsOf(some, kl))
		for _, a := range some {
			all[task].Counted += a.Tokens
		}
	}
	return all
}
