package synthetic

import (
	"strconv"

	"github.com/agora-ml/agora/random"
)

// The family ciphers: "RB hfacgb=" asks to move six letters as the mark R says and then to replace
// each as the mark B says. The model knows all six moves; to it A to H mean "the same letter". A new
// task is one of four moves with one of A to D, and a cipher of its own: where letters go is known, what
// becomes of them is new, and is told by both marks together.
func ciphers() Family {
	f := Family{
		Name: "ciphers", About: "known moves of six letters, each with a new cipher of 16 letters",
		Chance: 1.0 / cipherLetters, alphabet: "abcdefghijklmnop",
		question: func(r *random.Stream) string { return draw(r, "abcdefghijklmnop", 6) },
	}
	same := func(l int) int { return l }
	maps := []substitution{
		{"next letter", 'X', func(l int) int { return l + 1 }},
		{"previous letter", 'Y', func(l int) int { return l + cipherLetters - 1 }},
	}
	for i := range 8 {
		maps = append(maps, substitution{"same letter " + string(rune('1'+i)), 'A' + byte(i), same})
	}
	for _, m := range moves {
		for _, s := range maps {
			f.Base = append(f.Base, cipherTask(m, s))
		}
	}
	for i := range 16 {
		s := substitution{"cipher " + strconv.Itoa(i+1), 'A' + byte(i%4), newCipher(uint32(i))}
		f.New = append(f.New, cipherTask(moves[i/4], s))
	}
	return f
}

const cipherLetters = 16

// move says where letters go.
type move struct {
	name string
	mark byte
	from [6]int // from[i] is where the letter of place i stood
}

var moves = []move{
	{"copy", 'K', [6]int{0, 1, 2, 3, 4, 5}},
	{"reverse", 'R', [6]int{5, 4, 3, 2, 1, 0}},
	{"rotate", 'T', [6]int{2, 3, 4, 5, 0, 1}},
	{"swap halves", 'S', [6]int{3, 4, 5, 0, 1, 2}},
	{"swap neighbors", 'N', [6]int{1, 0, 3, 2, 5, 4}},
	{"last first", 'L', [6]int{5, 0, 1, 2, 3, 4}},
}

// substitution says what becomes of each letter, counted from 0; modulo 16.
type substitution struct {
	name string
	mark byte
	of   func(letter int) int
}

func cipherTask(m move, s substitution) Task {
	return Task{
		Name: m.name + ", " + s.name,
		Mark: string([]byte{m.mark, s.mark}),
		Answer: func(q string) string {
			answer := make([]byte, len(q))
			for i := range answer {
				answer[i] = 'a' + byte(s.of(int(q[m.from[i]]-'a'))%cipherLetters)
			}
			return string(answer)
		},
	}
}

// newCipher draws a permutation of the letters that leaves exactly one as it is: a model that
// answers with the same letters then is right as often as one that guesses.
func newCipher(number uint32) func(letter int) int {
	r := random.NewStream(0, random.Generated, cipherStream, number)
	for {
		p := r.Perm(cipherLetters)
		fixed := 0
		for i, to := range p {
			if i == to {
				fixed++
			}
		}
		if fixed == 1 {
			return func(l int) int { return p[l] }
		}
	}
}

// cipherStream stands apart from the splits, whose numbers are random's steps, too.
const cipherStream = 1 << 16

// draw gives n characters of an alphabet.
func draw(r *random.Stream, alphabet string, n int) string {
	q := make([]byte, n)
	for i := range q {
		q[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(q)
}
