package tasks

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

var mmlu = Task{
	Name: "mmlu", About: "questions with four choices about 57 subjects", read: readMMLU, shots: 5,
	files: map[Split][]string{Train: {"auxiliary_train"}, Test: {"test"}},
}

var letters = []string{"A", "B", "C", "D"}

// readMMLU reads a folder of MMLU's CSV files (Hendrycks et al., 2009.03300), one a subject, or
// one of them. A record is question, four choices and the right one's letter. Solved examples are
// the first of the subject's file in the folder dev beside this one.
func readMMLU(path string, o reading) (all []Example, err error) {
	shots := o.shots
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = sorted(path, ".csv"); err != nil {
			return nil, err
		}
	}
	for _, file := range files {
		subject := subjectOf(file)
		head := fmt.Sprintf("The following are multiple choice questions (with answers) about %s.\n\n",
			strings.ReplaceAll(subject, "_", " "))
		if shots > 0 {
			solved, err := readSubject(filepath.Join(filepath.Dir(filepath.Dir(file)), "dev", subject+"_dev.csv"), nil)
			if err != nil {
				return nil, fmt.Errorf("the %d solved examples: %w", shots, err)
			}
			if len(solved) < shots {
				return nil, fmt.Errorf("%s: want %d solved examples, got %d", solved[0].Source.File, shots, len(solved))
			}
			for _, e := range solved[:shots] {
				head += e.Prompt + e.Answer + "\n\n"
			}
		}
		examples, err := readSubject(file, o.skip)
		if err != nil {
			return nil, err
		}
		for i := range examples {
			examples[i].Prompt, examples[i].Group = head+examples[i].Prompt, subject
		}
		all = append(all, examples...)
	}
	return all, nil
}

// subjectOf is the subject of a file such as anatomy_test.csv.
func subjectOf(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".csv")
	for _, end := range []string{"_test", "_val", "_dev"} {
		name = strings.TrimSuffix(name, end)
	}
	return name
}

// readSubject reads one file, without what stands before a question.
func readSubject(path string, skip func(error)) (all []Example, err error) {
	err = text(path, func(r *bufio.Reader) error {
		records := csv.NewReader(r)
		records.FieldsPerRecord = -1
		for n := 1; ; n++ {
			record, err := records.Read()
			if err == io.EOF {
				return nil
			}
			bad, ok := errors.AsType[*csv.ParseError](err)
			if err != nil && !ok {
				return fmt.Errorf("%s: record %d: %w", path, n, err)
			}
			var e Example
			if ok {
				err = fmt.Errorf("%s: record %d (line %d): %w", path, n, bad.Line, bad.Err)
			} else if e, err = choiceOfFour(record); err != nil {
				line, _ := records.FieldPos(0)
				err = fmt.Errorf("%s: record %d (line %d): %w", path, n, line, err)
			}
			if err != nil && skip == nil {
				return err
			}
			if err != nil {
				skip(err)
				continue
			}
			e.at(path, n, "")
			all = append(all, e)
		}
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: want records, got none", path)
	}
	return all, err
}

func choiceOfFour(record []string) (Example, error) {
	if len(record) != 6 {
		return Example{}, fmt.Errorf("want a question, four choices and a letter, got %d fields", len(record))
	}
	for _, field := range record {
		if !utf8.ValidString(field) {
			return Example{}, errors.New("want text in UTF-8, got other bytes")
		}
	}
	prompt := strings.TrimSpace(record[0])
	for i, letter := range letters {
		prompt += "\n" + letter + ". " + record[1+i]
	}
	e := Example{Prompt: prompt + "\nAnswer:"}
	for i, letter := range letters {
		if record[5] == letter {
			e.chosen(i, " A", " B", " C", " D")
			return e, nil
		}
	}
	return Example{}, fmt.Errorf("want the letter of the right choice, A to D, got %.40q", record[5])
}
