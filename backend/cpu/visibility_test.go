package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/agora-ml/agora/internal/kernels"
)

// TestRunsSeeWhatEachKeyDoes compares what runs of keys tell with the definition, key by key: packed and padded rows, caches
// whose rows have their own lengths, positions in no order, with and without windows.
func TestRunsSeeWhatEachKeyDoes(t *testing.T) {
	const batch, queries, keys = 2, 13, 40
	r := rand.New(rand.NewPCG(1, 2))
	forms := map[string]func(position, segment []int32){
		"in order": func(position, segment []int32) {
			for i := range position {
				position[i] = int32(i)
			}
		},
		"packed": func(position, segment []int32) {
			for i := range position {
				if i > 0 {
					position[i], segment[i] = position[i-1]+1, segment[i-1]
				}
				if r.IntN(6) == 0 {
					position[i], segment[i] = 0, segment[i]+1
				}
			}
		},
		"padded": func(position, segment []int32) {
			first, last := r.IntN(len(position)/2), len(position)-r.IntN(len(position)/2)
			for i := range position {
				position[i], segment[i] = int32(max(0, i-first)), 0
				if i < first || i >= last {
					segment[i] = -1
				}
			}
		},
		"no order": func(position, segment []int32) {
			for i := range position {
				position[i], segment[i] = int32(r.IntN(keys)), int32(r.IntN(3)-1)
			}
		},
	}
	for name, form := range forms {
		for _, window := range []int{0, 1, 5} {
			v := seeing(kernels.Attention{T: queries, S: keys, Window: window}, make([][]int32, 4))
			all := [][]int32{make([]int32, batch*queries), make([]int32, batch*keys), make([]int32, batch*queries), make([]int32, batch*keys)}
			for b := range batch {
				form(all[0][b*queries:][:queries], all[2][b*queries:][:queries])
				form(all[1][b*keys:][:keys], all[3][b*keys:][:keys])
			}
			for given := range 4 {
				v.qPos, v.kPos, v.qSeg, v.kSeg = nil, nil, nil, nil
				if given&1 != 0 {
					v.qPos, v.kPos = all[0], all[1]
				}
				if given&2 != 0 {
					v.qSeg, v.kSeg = all[2], all[3]
				}
				for b := range batch {
					for i := range queries {
						for _, part := range [][2]int{{0, keys}, {7, 9}, {keys - 1, 1}} {
							j, n := part[0], part[1]
							runs, q := v.runs(nil, b, j, n), v.seer(b, i)
							n -= r.IntN(n)
							scores := make([]float32, n)
							upTo := q.upTo(runs, n)
							q.hide(scores, runs)
							for c, score := range scores {
								if sees := v.sees(b, i, j+c); sees == math.IsInf(float64(score), -1) || sees && c >= upTo {
									t.Fatalf("%s, window %d, %d given: query %d of %d and key %d: sees %v, score %v, up to %d",
										name, window, given, i, b, j+c, sees, score, upTo)
								}
							}
							if upTo > 0 && !v.sees(b, i, j+upTo-1) {
								t.Fatalf("%s, window %d, %d given: query %d of %d does not see key %d, the last", name, window, given, i, b, j+upTo-1)
							}
						}
					}
				}
			}
		}
	}
}
