package tasks

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

// The files in which SuperGLUE (Wang et al., 1905.00537) is distributed, and their usual names
// elsewhere. Its test rows have no labels.
var superGLUE = map[Split][]string{
	Train: {"train.jsonl", "train_part.jsonl"},
	Test:  {"val.jsonl", "validation.jsonl", "dev.jsonl", "val_part.jsonl"},
}

var boolQ = Task{
	Name: "boolq", About: "yes-or-no questions about a passage", read: readBoolQ,
	files: map[Split][]string{Train: {"train.jsonl", "train_part.jsonl", "train_part_1886.jsonl"},
		Test: superGLUE[Test]},
}

// readBoolQ reads SuperGLUE's fields, and BoolQ's own (Clark et al., 1905.10044): answer in
// place of label, and the passage's title apart, which SuperGLUE puts before it.
func readBoolQ(path string, o reading) (all []Example, err error) {
	err = lines(path, o.skip, func(number int, line []byte) error {
		var r struct {
			Question *string `json:"question"`
			Passage  *string `json:"passage"`
			Title    *string `json:"title"`
			Label    *bool   `json:"label"`
			Answer   *bool   `json:"answer"`
		}
		if err := strictjson.Unmarshal(line, &r); err != nil {
			return inLine(err)
		}
		if err := want("question", r.Question, "passage", r.Passage); err != nil {
			return err
		}
		right := r.Label
		switch {
		case r.Label != nil && r.Answer != nil && *r.Label != *r.Answer:
			return fmt.Errorf("want one label, got label %v and answer %v", *r.Label, *r.Answer)
		case r.Label == nil:
			right = r.Answer
		}
		if right == nil {
			return errors.New("want a label (true or false), got none")
		}
		passage := *r.Passage
		if r.Title != nil {
			if begin := *r.Title + " -- "; !strings.HasPrefix(passage, begin) {
				passage = begin + passage
			}
		}
		e := Example{Prompt: passage + "\nQuestion: " + *r.Question + "?\nAnswer:"}
		e.at(path, number, "")
		e.chosen(oneIf(*right), " no", " yes")
		all = append(all, e)
		return nil
	})
	return all, err
}

var rte = Task{Name: "rte", About: "whether a sentence follows from a text", read: readRTE, files: superGLUE}

func readRTE(path string, o reading) (all []Example, err error) {
	err = lines(path, o.skip, func(number int, line []byte) error {
		var r struct {
			Premise    *string `json:"premise"`
			Hypothesis *string `json:"hypothesis"`
			Label      *string `json:"label"`
		}
		if err := strictjson.Unmarshal(line, &r); err != nil {
			return inLine(err)
		}
		if err := want("premise", r.Premise, "hypothesis", r.Hypothesis, "label", r.Label); err != nil {
			return err
		}
		gold := map[string]int{"entailment": 0, "not_entailment": 1}
		g, ok := gold[*r.Label]
		if !ok {
			return fmt.Errorf("label: want entailment or not_entailment, got %.40q", *r.Label)
		}
		e := Example{Prompt: *r.Premise + "\nQuestion: " + *r.Hypothesis + " True or False?\nAnswer:"}
		e.at(path, number, "")
		e.chosen(g, " True", " False")
		all = append(all, e)
		return nil
	})
	return all, err
}

var wic = Task{Name: "wic", About: "whether a word means the same in two sentences", read: readWiC, files: superGLUE}

// readWiC asks for the word as the first sentence spells it: start1 and end1 count code points.
func readWiC(path string, o reading) (all []Example, err error) {
	err = lines(path, o.skip, func(number int, line []byte) error {
		var r struct {
			Sentence1 *string `json:"sentence1"`
			Sentence2 *string `json:"sentence2"`
			Start1    *int    `json:"start1"`
			End1      *int    `json:"end1"`
			Label     *bool   `json:"label"`
		}
		if err := strictjson.Unmarshal(line, &r); err != nil {
			return inLine(err)
		}
		if err := want("sentence1", r.Sentence1, "sentence2", r.Sentence2); err != nil {
			return err
		}
		if r.Start1 == nil || r.End1 == nil || r.Label == nil {
			return errors.New("want start1, end1 and label, got not all of them")
		}
		first := []rune(*r.Sentence1)
		if *r.Start1 < 0 || *r.Start1 >= *r.End1 || *r.End1 > len(first) {
			return fmt.Errorf("start1 and end1: want a word within the %d code points of sentence1, got %d to %d",
				len(first), *r.Start1, *r.End1)
		}
		e := Example{
			Prompt: "Sentence 1: " + *r.Sentence1 + "\nSentence 2: " + *r.Sentence2 +
				"\nQuestion: Is the word '" + string(first[*r.Start1:*r.End1]) +
				"' used in the same way in the two sentences above?" +
				"\nAnswer:",
		}
		e.at(path, number, "")
		e.chosen(oneIf(*r.Label), " no", " yes")
		all = append(all, e)
		return nil
	})
	return all, err
}

var multiRC = Task{
	Name: "multirc", About: "which answers to questions about a passage are right", read: readMultiRC, files: superGLUE,
}

// readMultiRC makes an example of each answer: is it right? Groups are the questions.
func readMultiRC(path string, o reading) (all []Example, err error) {
	err = lines(path, o.skip, func(number int, line []byte) error {
		var r struct {
			Passage *struct {
				Text      *string `json:"text"`
				Questions []struct {
					Question *string `json:"question"`
					Index    *int    `json:"idx"`
					Answers  []struct {
						Text  *string `json:"text"`
						Label *int    `json:"label"`
						Index *int    `json:"idx"`
					} `json:"answers"`
				} `json:"questions"`
			} `json:"passage"`
		}
		if err := strictjson.Unmarshal(line, &r); err != nil {
			return inLine(err)
		}
		if r.Passage == nil || r.Passage.Text == nil {
			return errors.New("want a passage with a text, got none")
		}
		var answers []Example
		for i, q := range r.Passage.Questions {
			if q.Question == nil {
				return fmt.Errorf("passage.questions[%d]: want a question, got none", i)
			}
			question := fmt.Sprintf("%d:q%d", number, orElse(q.Index, i))
			for j, a := range q.Answers {
				if a.Text == nil || a.Label == nil || *a.Label != 0 && *a.Label != 1 {
					return fmt.Errorf("passage.questions[%d].answers[%d]: want a text and a label of 0 or 1, got "+
						"not both", i, j)
				}
				e := Example{Prompt: *r.Passage.Text + "\nQuestion: " + *q.Question + "\nAnswer:", Group: question}
				e.at(path, number, fmt.Sprintf(":q%d:a%d", orElse(q.Index, i), orElse(a.Index, j)))
				const asked = "\nIs the answer correct? "
				e.chosen(1-*a.Label, " "+*a.Text+asked+"yes", " "+*a.Text+asked+"no")
				answers = append(answers, e)
			}
		}
		all = append(all, answers...)
		return nil
	})
	return all, err
}

func orElse(index *int, other int) int {
	if index == nil {
		return other
	}
	return *index
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// want returns an error for the first of the fields, name and value in turns, that is missing.
func want(fields ...any) error {
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1].(*string) == nil {
			return fmt.Errorf("want a text %q, got none", fields[i])
		}
	}
	return nil
}

// inLine is what is wrong in a line whose number the caller tells.
func inLine(err error) error {
	e, ok := errors.AsType[*strictjson.Error](err)
	if !ok {
		return err
	}
	if e.Field == "" {
		return fmt.Errorf("want %s, got %s", e.Want, e.Got)
	}
	return fmt.Errorf("field %s: want %s, got %s", e.Field, e.Want, e.Got)
}
