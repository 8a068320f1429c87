package train

import (
	"fmt"
	"slices"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/preference"
)

// Objective is what a run learns from its rows.
type Objective string

const (
	// SFT is supervised fine-tuning: answers are learned as they are.
	SFT Objective = "sft"
	// DPO learns which of two answers is the better one; see preference.DPO.
	DPO Objective = "dpo"
	// ORPO learns the better one of two answers and that it is better; see preference.ORPO.
	ORPO Objective = "orpo"
	// KTO learns which answers are desirable; see preference.KTO.
	KTO Objective = "kto"
)

// Objectives lists every Objective, the default first.
func Objectives() []Objective { return []Objective{SFT, DPO, ORPO, KTO} }

// Meaning returns what a run with the objective learns from, in a few words.
func (o Objective) Meaning() string {
	return map[Objective]string{
		SFT: "answers", DPO: "the better of two answers, against the base model",
		ORPO: "the better of two answers, and that answer itself", KTO: "answers with a label, against the base model",
	}[o]
}

// hasReference reports whether the base model with the adapter off is what the model is compared with.
func (o Objective) hasReference() bool { return o == DPO || o == KTO }

// hasPairs reports whether a row has two answers.
func (o Objective) hasPairs() bool { return o == DPO || o == ORPO }

// judged makes of rows what the objective learns from, or returns an error for the first row that is
// something else. KTO takes the two answers of a pair one by one.
func (o Objective) judged(rows []data.Row) ([]data.Row, error) {
	if o == KTO {
		rows = data.Unpair(rows)
	}
	for _, r := range rows {
		want, got := "", "one answer that nobody has judged"
		switch {
		case r.Rejected != nil:
			got = "two answers, of which one is better (objective dpo, orpo or kto)"
		case r.Judgment != data.Unjudged:
			got = "one answer with a label (objective kto)"
		}
		switch {
		case o == SFT && r.Judgment != data.Unjudged:
			want = "one answer to be learned"
		case o.hasPairs() && r.Rejected == nil:
			want = "chosen and rejected answers"
		case o == KTO && r.Judgment == data.Unjudged:
			want, got = "an answer with a label, or chosen and rejected ones", got+" (objective sft)"
		default:
			continue
		}
		return nil, fmt.Errorf("%s: want %s for the objective %s, got %s", r.Source, want, o, got)
	}
	return rows, nil
}

// PackedTokens is the number of tokens of a packed row, 0 where rows are not packed: room for a sequence, or
// for both of a pair.
func (c *Config) PackedTokens() int {
	switch {
	case !c.Pack:
		return 0
	case c.Objective.hasPairs():
		return 2 * c.MaxTokens
	}
	return c.MaxTokens
}

func (c *Config) checkObjective() error {
	switch {
	case c.Objective == SFT:
		return nil
	case c.Objective.hasReference() && c.full():
		return fmt.Errorf("want sft or orpo with method full (the reference is the model without its adapter, and "+
			"would move), got %s", c.Objective)
	case c.Objective.hasReference() && len(c.Adapter.Extra) > 0:
		return fmt.Errorf("want sft or orpo with train-also (the reference is the model without its adapter, and "+
			"%v would move), got %s", c.Adapter.Extra, c.Objective)
	case data.Loss(c.Loss) != data.LossAnswers && c.Objective != ORPO:
		return fmt.Errorf("want sft or orpo with loss %s (answers alone are compared), got %s", c.Loss, c.Objective)
	case data.Truncate(c.Truncate) == data.TruncateSplit:
		return fmt.Errorf("want sft with truncate split (answers are judged as a whole), got %s", c.Objective)
	case c.Objective == KTO && c.BatchRows*c.Accumulate < 2:
		return fmt.Errorf("want at least 2 rows a step with kto (prompts are paired with answers of others), got "+
			"batch-rows %d, accumulate %d", c.BatchRows, c.Accumulate)
	}
	return nil
}

// checkReference refuses an adapter whose absence is no reference that stays, and says what the reference is
// where the run begins with another model.
func (r *run) checkReference() error {
	cfg := &r.cfg
	if !cfg.Objective.hasReference() {
		return nil
	}
	if extra := r.adapter.Extra(); len(extra) > 0 {
		return cfg.wrongf("objective", "want sft or orpo with an adapter that has weights of the base model (the "+
			"reference is the model without its adapter, and %v would move), got %s", extra, cfg.Objective)
	}
	if cfg.adapterGiven() && r.progress != nil {
		r.progress.Say("the reference is the base model without the adapter that training goes on with; agora merge " +
			"makes of both a base model to be compared with")
	}
	return nil
}

// imbalance says which weight would make the desirable and undesirable answers of KTO weigh alike, where they do
// not: products of weight and number are to be as 1 to 1, up to 4 to 3 (TRL, KTOTrainer).
func (c *Config) imbalance(seqs []data.Sequence) string {
	if c.Objective != KTO {
		return ""
	}
	desirable := 0
	for _, s := range seqs {
		if s.Judgment == data.Chosen {
			desirable++
		}
	}
	undesirable := len(seqs) - desirable
	heavy, light := float64(desirable)*c.DesirableWeight, float64(undesirable)*c.UndesirableWeight
	if heavy < light {
		heavy, light = light, heavy
	}
	if heavy <= light*4/3 {
		return ""
	}
	note := fmt.Sprintf("%d desirable and %d undesirable answers weigh unlike", desirable, undesirable)
	ratio := float64(desirable) / float64(undesirable)
	switch {
	case desirable == 0 || undesirable == 0: // which some train on
	case ratio < 1:
		note += fmt.Sprintf("; alike with --desirable-weight %.3g", c.UndesirableWeight/ratio)
	default:
		note += fmt.Sprintf("; alike with --undesirable-weight %.3g", c.DesirableWeight*ratio)
	}
	return note
}

// onlyFor is a check of a setting that some objectives alone have: with another it must be the default.
func (c *Config) onlyFor(name string, objectives ...Objective) func() error {
	return func() error {
		if slices.Contains(objectives, c.Objective) {
			return nil
		}
		all := c.Settings()
		s := all[slices.IndexFunc(all, func(s *Setting) bool { return s.Name == name })]
		if s.String() != s.value.initial() {
			return fmt.Errorf("want it with objective %s alone, got %s with %s", alternatives(objectives), s,
				c.Objective)
		}
		return nil
	}
}

func (c *Config) checkLabelSmoothing() error {
	switch {
	case c.LabelSmoothing >= 0.5:
		return fmt.Errorf("want below 0.5, got %v", c.LabelSmoothing)
	case c.LabelSmoothing != 0 && c.DPOLoss != preference.DPOSigmoid:
		return fmt.Errorf("want 0 with dpo-loss %s, got %v", c.DPOLoss, c.LabelSmoothing)
	}
	return c.onlyFor("label-smoothing", DPO)()
}
