package tasks

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/agora-ml/agora/internal/strictjson"
)

var gsm8k = Task{
	Name: "gsm8k", About: "word problems that are solved in writing", read: readGSM8K, shots: 8,
	files: map[Split][]string{Train: {"train.jsonl"}, Test: {"test.jsonl", "test_part.jsonl"}},
}

// readGSM8K reads the rows of Cobbe et al. (2110.14168): a question, and an answer whose last line
// is "#### " and a number. Solved examples are the first of train.jsonl beside the file.
func readGSM8K(path string, o reading) ([]Example, error) {
	shots := o.shots
	examples, err := readProblems(path, -1, o.skip)
	if err != nil || shots == 0 {
		return examples, err
	}
	train := filepath.Join(filepath.Dir(path), "train.jsonl")
	solved, err := readProblems(train, shots, nil)
	if err != nil {
		if solved, err = readProblems(train+".gz", shots, nil); err != nil {
			return nil, fmt.Errorf("the %d solved examples: %w", shots, err)
		}
	}
	if len(solved) < shots {
		return nil, fmt.Errorf("%s: want %d solved examples, got %d rows", train, shots, len(solved))
	}
	head := ""
	for _, e := range solved {
		head += e.Prompt + e.Answer + "\n\n"
	}
	for i := range examples {
		examples[i].Prompt = head + examples[i].Prompt
	}
	return examples, nil
}

var errEnough = errors.New("enough rows")

// readProblems reads so many rows; -1 means all.
func readProblems(path string, most int, skip func(error)) (all []Example, err error) {
	err = lines(path, skip, func(number int, line []byte) error {
		if len(all) == most {
			return errEnough
		}
		var r struct {
			Question *string `json:"question"`
			Answer   *string `json:"answer"`
		}
		if err := strictjson.Unmarshal(line, &r); err != nil {
			return inLine(err)
		}
		if err := want("question", r.Question, "answer", r.Answer); err != nil {
			return err
		}
		e := Example{Prompt: "Question: " + *r.Question + "\nAnswer:", Answer: " " + *r.Answer}
		var ok bool
		if e.Number, ok = FinalNumber(*r.Answer); !ok {
			return errors.New(`answer: want a last line "#### NUMBER", got none`)
		}
		e.at(path, number, "")
		all = append(all, e)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return all, err
}

var (
	marked    = regexp.MustCompile(`#### (-?[0-9.,]+)`)
	anyNumber = regexp.MustCompile(`-?[$0-9.,]{2,}|-?[0-9]+`)
)

// FinalNumber is the number behind the first "#### " of a solution.
func FinalNumber(solution string) (string, bool) {
	m := marked.FindStringSubmatch(solution)
	if m == nil {
		return "", false
	}
	return plain(m[1]), true
}

// LastNumber is the last number of a solution, however it is marked.
func LastNumber(solution string) (string, bool) {
	all := anyNumber.FindAllString(solution, -1)
	if len(all) == 0 {
		return "", false
	}
	return plain(all[len(all)-1]), true
}

// plain drops what may stand in a number and does not change it: separators of thousands, a
// dollar, the full stop of a sentence.
func plain(number string) string {
	return strings.TrimSuffix(strings.NewReplacer(",", "", "$", "").Replace(number), ".")
}

// StopsGSM8K are where a generated solution ends.
var StopsGSM8K = []string{"\n\n", "Question:"}
