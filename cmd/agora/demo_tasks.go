package main

import (
	"slices"
	"strings"

	"github.com/agora-ml/agora/random"
)

// task is a toy task on short strings of letters: "r dab=bad" for reversing.
type task struct {
	name   string
	mark   byte // begins every row of the task
	answer func(letters []byte) []byte
}

// The base model learns the first group from scratch; the adapters then learn the
// second group, all its tasks at once, with the base frozen.
var (
	baseTasks = []task{
		{"copy", 'c', slices.Clone[[]byte]},
		{"next letter", 'n', func(l []byte) []byte { return mapped(l, func(c byte) byte { return 'a' + (c-'a'+1)%demoLetters }) }},
	}
	newTasks = []task{
		{"reverse", 'r', func(l []byte) []byte {
			l = slices.Clone(l)
			slices.Reverse(l)
			return l
		}},
		{"sort", 's', func(l []byte) []byte {
			l = slices.Clone(l)
			slices.Sort(l)
			return l
		}},
		{"mirror letter", 'm', func(l []byte) []byte {
			return mapped(l, func(c byte) byte { return 'a' + demoLetters - 1 - (c - 'a') })
		}},
	}
)

const (
	demoLetters = 8 // a to h
	demoLength  = 6 // letters of a row

	demoBOS, demoEOS = 1, 2
	demoAlphabet     = "cnrsm=abcdefgh" // id 3 is its first character
	demoVocabulary   = 3 + len(demoAlphabet)
)

func mapped(l []byte, f func(byte) byte) []byte {
	l = slices.Clone(l)
	for i := range l {
		l[i] = f(l[i])
	}
	return l
}

func demoID(c byte) int32 { return int32(3 + strings.IndexByte(demoAlphabet, c)) }

// row is a random row of the task: prompt "<s> mark letters =", then answer and </s>.
func (t task) row(r *random.Stream) (prompt, answer []int32) {
	letters := make([]byte, demoLength)
	for i := range letters {
		letters[i] = 'a' + byte(r.IntN(demoLetters))
	}
	prompt = append(prompt, demoBOS, demoID(t.mark))
	for _, c := range letters {
		prompt = append(prompt, demoID(c))
	}
	prompt = append(prompt, demoID('='))
	for _, c := range t.answer(letters) {
		answer = append(answer, demoID(c))
	}
	return prompt, append(answer, demoEOS)
}
