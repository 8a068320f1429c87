package synthetic

import (
	"fmt"

	"github.com/agora-ml/agora/random"
)

// The family sums: "B 4071+9925=" asks for a weighted sum of the two numbers' digits, place by
// place, modulo 10. The model knows how to look at both (the larger, the smaller, the digit of
// either, the one after it); to it A to H mean "the digit of the first". What the new tasks want is no letter for another
// but a table of a hundred entries each, which two places are to be looked up in at once.
func sums() Family {
	f := Family{
		Name: "sums", About: "weighted sums of two digits modulo 10, place by place",
		Chance: 0.1, alphabet: digits + "+",
		question: func(r *random.Stream) string { return draw(r, digits, places) + "+" + draw(r, digits, places) },
	}
	for _, t := range []struct {
		name string
		mark byte
		of   func(x, y int) int
	}{
		{"second", 'P', func(_, y int) int { return y }},
		{"larger", 'Q', func(x, y int) int { return max(x, y) }},
		{"smaller", 'R', func(x, y int) int { return min(x, y) }},
		{"after the first", 'S', func(x, _ int) int { return x + 1 }},
		{"after the second", 'T', func(_, y int) int { return y + 1 }},
	} {
		f.Base = append(f.Base, sumTask(t.name, t.mark, t.of))
	}
	first := func(x, _ int) int { return x }
	for i, w := range weights {
		mark := 'A' + byte(i)
		f.Base = append(f.Base, sumTask(fmt.Sprintf("first %d", i+1), mark, first))
		f.New = append(f.New, sumTask(fmt.Sprintf("%dx + %dy", w[0], w[1]), mark, func(x, y int) int { return w[0]*x + w[1]*y }))
	}
	return f
}

const (
	digits = "0123456789"
	places = 4
)

// weights are those of the new tasks' sums. Those of y have no divisor in common with 10, so that
// the first number alone tells nothing: a model that answers with its digits is right by chance.
var weights = [][2]int{{1, 1}, {1, 9}, {1, 3}, {1, 7}}

func sumTask(name string, mark byte, of func(x, y int) int) Task {
	return Task{Name: name, Mark: string([]byte{mark}), Answer: func(q string) string {
		answer := make([]byte, places)
		for i := range answer {
			answer[i] = digits[of(int(q[i]-'0'), int(q[places+1+i]-'0'))%10]
		}
		return string(answer)
	}}
}
