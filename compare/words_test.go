package compare

import "testing"

func TestWords(t *testing.T) {
	ahead := Difference{Summary: Summary{N: 8, Mean: 0.387, SD: 0.17}, Low: 0.201, High: 0.573, Up: 8}
	level := Difference{Summary: Summary{N: 8, Mean: 0.021, SD: 0.2}, Low: -0.13, High: 0.172, Up: 5, Down: 3}
	behind := Difference{Summary: Summary{N: 3, Mean: -0.25, SD: 0.1}, Low: -0.4, High: -0.1, Down: 3}
	touching := Difference{Summary: Summary{N: 3, Mean: 0.1, SD: 0.1}, Low: 0, High: 0.2, Up: 3}
	for _, c := range []struct {
		m      Measure
		stages []Stage
		want   string
	}{
		{Letters, []Stage{{1200, ahead}, {3600, level}},
			"M and L: after 1200 steps the first is ahead by 38.7 points of letters in place (95 % 20.1 to 57.3, 8 of 8 seeds); " +
				"after 3600 steps not told apart (2.1 points of letters in place, 95 % −13.0 to 17.2; the first is ahead on 5 of 8 seeds)."},
		{Exact, []Stage{{1200, behind}},
			"M and L: after 1200 steps the second is ahead by 25.0 points of right answers (95 % 10.0 to 40.0, 3 of 3 seeds)."},
		{Loss, []Stage{{9, behind}},
			"M and L: after 9 steps the second is ahead by 0.250 nats a token (95 % 0.100 to 0.400, 3 of 3 seeds)."},
		{Letters, []Stage{{9, touching}}, // an interval that ends at 0 holds it
			"M and L: after 9 steps not told apart (10.0 points of letters in place, 95 % 0.0 to 20.0; the first is ahead on 3 of 3 seeds)."},
		{Letters, []Stage{{9, Paired([]float64{1}, []float64{0})}},
			"M and L: after 9 steps not told apart: want two seeds or more, got 1."},
		{Letters, []Stage{{9, Paired(nil, nil)}},
			"M and L: after 9 steps not told apart: want two seeds or more, got 0."},
	} {
		if got := Words("M", "L", c.m, c.stages); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
