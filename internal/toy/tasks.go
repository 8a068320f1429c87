package toy

import (
	"bytes"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/random"
)

// Task is a toy task on strings of letters: "S dabbch=" is answered by "abbcdh".
type Task struct {
	Name   string
	Mark   byte                        // begins each of its prompts
	Answer func(letters []byte) []byte // as many letters as were asked
}

const (
	letters = 8 // a to h
	length  = 6 // letters of a row
)

// Chance is the score of an answer whose letters are drawn at random.
const Chance = 1.0 / letters

// BaseTasks are what the base model learns from scratch, NewTasks what the adapters then
// teach it, all at once. They want of each letter where it stood, what it was, or both.
var (
	BaseTasks = []Task{
		{"copy", 'C', slices.Clone[[]byte]},
		{"next letter", 'N', each(func(l int) int { return l + 1 })},
		{"rotate", 'T', func(s []byte) []byte { return turned(s, 2) }},
	}
	NewTasks = []Task{
		{"reverse", 'R', reverse},
		{"sort", 'S', func(s []byte) []byte {
			s = slices.Clone(s)
			slices.Sort(s)
			return s
		}},
		{"cipher", 'K', each(func(l int) int { return int("dgceahbf"[l] - 'a') })},
		{"swap halves", 'H', func(s []byte) []byte { return turned(s, length/2) }},
		{"reversed next", 'B', func(s []byte) []byte { return reverse(each(func(l int) int { return l + 1 })(s)) }},
	}
)

// turned is s beginning with its letter number n, counted from 0.
func turned(s []byte, n int) []byte { return slices.Concat(s[n:], s[:n]) }

func reverse(s []byte) []byte {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}

// each maps every letter, counted from 0, by itself.
func each(f func(letter int) int) func([]byte) []byte {
	return func(s []byte) []byte {
		return bytes.Map(func(c rune) rune { return 'a' + rune(f(int(c-'a'))%letters) }, s)
	}
}

// Row is a row of training data.
type Row = synthetic.Row

// row draws a row of the task.
func (t Task) row(r *random.Stream) Row {
	asked := make([]byte, length)
	for i := range asked {
		asked[i] = 'a' + byte(r.IntN(letters))
	}
	return Row{Prompt: string(t.Mark) + " " + string(asked) + "=", Completion: string(t.Answer(asked))}
}

// rows are n rows, the tasks in turn.
func rows(tasks []Task, n int, r *random.Stream) []Row {
	all := make([]Row, n)
	for i := range all {
		all[i] = tasks[i%len(tasks)].row(r)
	}
	return all
}

// testRows are the rows that the task is scored on: drawn anew from 8^6 possible ones, of
// which training sees less than two in a hundred.
func (t Task) testRows(seed uint64, n int) []Row {
	return rows([]Task{t}, n, stream(seed, forTest+uint32(t.Mark)))
}

// Names lists the tasks for a reader.
func Names(tasks []Task) string {
	var names []string
	for _, t := range tasks {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// Prompt is an example of what an adapted model can answer, by abbcdh.
const Prompt = "S dabbch="

// characters are all that rows are written in, each of which is a token.
func characters() string {
	all := []byte(" =")
	for c := range byte(letters) {
		all = append(all, 'a'+c)
	}
	for _, tasks := range [][]Task{BaseTasks, NewTasks} {
		for _, t := range tasks {
			all = append(all, t.Mark)
		}
	}
	return string(all)
}
