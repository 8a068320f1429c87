package data

import (
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

// parseAlpaca reads a row of Stanford Alpaca's file, whose system some later sets have.
func parseAlpaca(o *object) (r Row, err error) {
	instruction, err := o.wantText("instruction")
	if err != nil {
		return r, err
	}
	if r.Answer, err = o.wantText("output"); err != nil {
		return r, err
	}
	input, err := o.optional("input")
	if err != nil {
		return r, err
	}
	system, err := o.optional("system")
	if err != nil {
		return r, err
	}
	history, err := o.history()
	if err != nil {
		return r, err
	}
	r.Prompt = AlpacaPrompt(system, history+instruction, input)
	if text, ok := o.peek("text"); ok && sameWords(text, r.Prompt+"\n"+r.Answer) {
		o.settleAs("text", FateRepeats)
	}
	return r, o.rowWeight(&r)
}

// history takes earlier questions and their answers, a list of pairs. They stand in the prompt, each as
// Alpaca writes it; their answers are read, not learned.
func (o *object) history() (string, error) {
	m, ok := o.take("history")
	if !ok || isHollow(m.Value) {
		o.settleAs("history", FateEmpty)
		return "", nil
	}
	var turns [][]string
	if err := strictjson.Unmarshal(m.Value, &turns); err != nil {
		return "", faultOf(err, "history", o.at+m.Offset)
	}
	var all strings.Builder
	for i, t := range turns {
		if len(t) != 2 {
			return "", o.errorf(m, "pair %d: want a question and its answer, got %d texts", i, len(t))
		}
		all.WriteString(t[0] + "\n\n### Response:\n" + t[1] + "\n\n### Instruction:\n")
	}
	o.count("history", FateUsed)
	return all.String(), nil
}

// sameWords compares texts but for white space.
func sameWords(a, b string) bool {
	next := func(s string) (word, rest string) {
		s = strings.TrimSpace(s)
		if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
			return s[:i], s[i:]
		}
		return s, ""
	}
	for a != "" || b != "" {
		var x, y string
		x, a = next(a)
		y, b = next(b)
		if x != y {
			return false
		}
	}
	return true
}

// AlpacaPrompt is the text that Stanford Alpaca (Taori et al., 2023) puts before an
// answer; an empty input is left out. A system text that is not empty stands in the place
// of Alpaca's own first sentences, where the trainers that know such rows put it.
func AlpacaPrompt(system, instruction, input string) string {
	rest := "### Instruction:\n" + instruction
	if input != "" {
		rest += "\n\n### Input:\n" + input
	}
	if system == "" {
		system = "Below is an instruction that describes a task"
		if input != "" {
			system += ", paired with an input that provides further context"
		}
		system += ". Write a response that appropriately completes the request."
	}
	return system + "\n\n" + rest + "\n\n### Response:"
}
