// Package tasks reads the data sets of the paper's mixture (2311.11501) and of its
// evaluation, and says how a row of each is put to a model: MMLU, BoolQ, MultiRC, RTE and WiC
// as questions with choices, GSM8K as one whose answer is written freely.
//
// Prompts and choices are those of EleutherAI's lm-evaluation-harness; docs/evaluation.md names
// what differs. An Example serves both: eval compares the likelihoods of its choices, and
// training learns its Answer.
package tasks

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/regular"
)

// Example is one question.
type Example struct {
	Prompt  string   // what the model reads
	Choices []string // what may follow, with the space in front; nil where the answer is written freely
	Gold    int      // the right one of Choices
	Answer  string   // what a model should learn to write, with the space in front
	Number  string   // of a freely written answer: the final number, as GSM8K writes it
	Group   string   // the subject (MMLU), or the question that this answer belongs to (MultiRC)
	ID      string   // file:row, of a CSV file:record, of MultiRC file:row:qQUESTION:aANSWER
	Source  data.Source
}

// Task is a data set and how its rows are asked.
type Task struct {
	Name  string
	About string // in a line

	read  func(path string, o reading) ([]Example, error)
	files map[Split][]string // names in the task's folder, the first that is there counts
	shots int                // solved examples that may be shown at most
}

// reading says how rows are read.
type reading struct {
	shots int
	skip  func(error) // is told of bad rows; nil: the first one ends the reading
}

// Split is a part of a data set.
type Split string

// The splits. Test is the one that is scored: a data set whose test rows have no answers is
// scored on its validation rows.
const (
	Train Split = "train"
	Test  Split = "test"
)

// All lists the tasks.
func All() []Task { return []Task{mmlu, boolQ, multiRC, rte, wic, gsm8k} }

// Names lists them by name.
func Names() (names []string) {
	for _, t := range All() {
		names = append(names, t.Name)
	}
	return names
}

// Find gives a task by its name.
func Find(name string) (Task, error) {
	for _, t := range All() {
		if t.Name == name {
			return t, nil
		}
	}
	return Task{}, fmt.Errorf("task %.40q: want one of %s", name, strings.Join(Names(), ", "))
}

// Locate finds the rows of a split below root, the folder of all data sets: root/NAME and there
// the files that the data set is distributed with.
func (t Task) Locate(root string, split Split) (path string, err error) {
	dir := filepath.Join(root, t.Name)
	names := t.files[split]
	if len(names) == 0 {
		return "", fmt.Errorf("task %s has no %s rows", t.Name, split)
	}
	for _, name := range names {
		for _, end := range []string{"", ".gz"} {
			path := filepath.Join(dir, name+end)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("task %s: %s: want %s, each also .gz, got none of them", t.Name, dir,
		strings.Join(names, ", "))
}

// MaxShots is how many solved examples the task can show before a question.
func (t Task) MaxShots() int { return t.shots }

// Read gives the examples of a file or folder, each with so many solved examples before it.
// An error names file and row.
func (t Task) Read(path string, shots int) ([]Example, error) {
	return t.ReadSkipping(path, shots, nil)
}

// ReadSkipping is Read, but passes over bad rows, of each of which skip is told; nil is Read.
// Bad rows among the solved examples are errors.
func (t Task) ReadSkipping(path string, shots int, skip func(error)) ([]Example, error) {
	if shots < 0 || shots > t.shots {
		return nil, fmt.Errorf("task %s: want 0 to %d solved examples before a question, got %d", t.Name, t.shots,
			shots)
	}
	examples, err := t.read(path, reading{shots, skip})
	if err == nil && len(examples) == 0 {
		err = fmt.Errorf("%s: want rows, got none", path)
	}
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", t.Name, err)
	}
	return examples, nil
}

// Rows are the examples as rows to train on.
func Rows(examples []Example) []data.Row {
	rows := make([]data.Row, len(examples))
	for i, e := range examples {
		rows[i] = data.Row{Format: data.FormatCompletion, Prompt: e.Prompt, Answer: e.Answer, Source: e.Source}
	}
	return rows
}

// text opens a file of text, unpacked where its name ends in .gz.
func text(path string, read func(r *bufio.Reader) error) error {
	f, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := io.Reader(f)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: want gzip: %w", path, err)
		}
	}
	return read(bufio.NewReaderSize(&bounded{r: r, path: path, left: maxFile}, 1<<16))
}

// maxFile (a variable for tests) bounds the bytes of a file, unpacked; the largest of these data sets has 20 MB.
var maxFile = 256 << 20

// bounded reads a file up to its bound.
type bounded struct {
	r    io.Reader
	path string
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("%s: want at most %d bytes of text, unpacked, got more", b.path, maxFile)
	}
	return n, err
}

// maxLine bounds the bytes of one line.
const maxLine = 16 << 20

// lines calls each for every line that is not empty, numbered from 1. Its errors are told to skip,
// if there is one.
func lines(path string, skip func(error), each func(number int, line []byte) error) error {
	return text(path, func(r *bufio.Reader) error {
		for number := 1; ; number++ {
			var line []byte
			for {
				part, err := r.ReadSlice('\n')
				if line = append(line, part...); len(line) > maxLine {
					return fmt.Errorf("%s:%d: want at most %d bytes in a line, got more", path, number, maxLine)
				}
				if err == io.EOF && len(line) == 0 {
					return nil
				}
				if errors.Is(err, bufio.ErrBufferFull) {
					continue
				}
				if err != nil && err != io.EOF {
					return fmt.Errorf("%s:%d: %w", path, number, err)
				}
				break
			}
			if len(strings.TrimSpace(string(line))) == 0 {
				continue
			}
			err := each(number, line)
			if err == nil {
				continue
			}
			err = fmt.Errorf("%s:%d: %w", path, number, err)
			if skip == nil || errors.Is(err, errEnough) {
				return err
			}
			skip(err)
		}
	})
}

// at says where an example comes from.
func (e *Example) at(path string, row int, part string) {
	e.Source = data.Source{File: path, Row: row}
	e.ID = fmt.Sprintf("%s:%d%s", filepath.Base(path), row, part)
}

// chosen gives an example its choices, of which one is right.
func (e *Example) chosen(gold int, choices ...string) {
	e.Choices, e.Gold, e.Answer = choices, gold, choices[gold]
}

// Majority is the share of examples whose right choice is the most frequent one: what somebody
// scores who knows nothing but that.
func Majority(examples []Example) float64 {
	counts := map[int]int{}
	for _, e := range examples {
		counts[e.Gold]++
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	return float64(most) / float64(max(1, len(examples)))
}

// sorted are the files of a folder whose names end so, in the order of their names.
func sorted(dir, end string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), end) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(paths)
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: want files *%s, got none", dir, end)
	}
	return paths, nil
}
