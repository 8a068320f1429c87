package synthetic

import (
	"fmt"

	"github.com/agora-ml/agora/random"
)

// The family sums: "B 4031+3124=" asks for a weighted sum of the two numbers' digits, place by
// place, modulo 5. The model knows how to look at both (the larger, the smaller, the digit of
// either, the one after it); to it A to D mean "the digit of the first". What the new tasks want is
// no letter for another but a table of 25 entries each, looked up by two places at once.
func sums() Family {
	f := Family{
		Name: "sums", About: "weighted sums of two digits modulo 5, place by place",
		Chance: 1 / float64(modulus), alphabet: digits + "+",
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
	for w := 1; w < modulus; w++ {
		mark := 'A' + byte(w-1)
		f.Base = append(f.Base, sumTask(fmt.Sprintf("first %d", w), mark, first))
		f.New = append(f.New, sumTask(fmt.Sprintf("x + %dy", w), mark, func(x, y int) int { return x + w*y }))
	}
	return f
}

// The modulus is prime, so that the first number alone tells nothing of x + wy: a model that
// answers with its digits is right by chance.
const (
	digits  = "01234"
	modulus = len(digits)
	places  = 4
)

func sumTask(name string, mark byte, of func(x, y int) int) Task {
	return Task{Name: name, Mark: string([]byte{mark}), Answer: func(q string) string {
		answer := make([]byte, places)
		for i := range answer {
			answer[i] = digits[of(int(q[i]-'0'), int(q[places+1+i]-'0'))%modulus]
		}
		return string(answer)
	}}
}
