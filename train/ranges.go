package train

import (
	"fmt"
	"math"
	"strconv"

	"github.com/agora-ml/agora/tokenizer/chat"
)

// interval is what a numeric setting takes.
type interval struct{ least, most float64 }

// ranges are those of the numeric settings. Most of the largest values are more than anybody
// means: numbers that f32 cannot hold, counts that overflow, memory that is taken before a plan can
// say no. What else a value must be, Validate says.
var ranges = map[string]interval{
	"max-tokens": {2, 1 << 30}, "held-out": {0, 1 << 30}, "max-data-bytes": {0, 1 << 50}, "loaders": {1, 1 << 10}, "mixture-temperature": {1, 1e6},
	"modules": {0, 1 << 16}, "rank": {1, 1 << 16}, "alpha": {0, 1e6}, "dropout": {0, 1},
	"steps": {1, math.MaxUint32}, "epochs": {0, 1e6}, "batch-rows": {1, 1 << 16}, "accumulate": {1, 1 << 16},
	"lr": {0, math.MaxFloat32}, "scale-lr": {0, math.MaxFloat32}, "weight-decay": {0, 1e6},
	"warmup-steps": {AutoWarmup, math.MaxUint32}, "clip-norm": {0, math.MaxFloat32}, "loss-scale": {0, math.MaxFloat32},
	"seed": {0, math.MaxUint64}, "eval-every": {0, 1 << 30}, "early-stop": {0, 1 << 30}, "save-every": {0, 1 << 30}, "keep": {1, 1 << 30},
}

// IsNumber reports a setting that is a number.
func (s *Setting) IsNumber() bool {
	switch s.value.(type) {
	case *int, *uint64, *float64:
		return true
	}
	return false
}

// Range is what a numeric setting takes at least and at most; ok is false for others.
func (s *Setting) Range() (least, most float64, ok bool) {
	r, ok := ranges[s.Name]
	return r.least, r.most, ok
}

// Check reports a number out of its range, and a date that is none.
func (s *Setting) Check() error {
	if s.Name == templateDate && s.String() != "" {
		if _, err := chat.ParseDate(s.String()); err != nil {
			return fmt.Errorf("--%s: %w", s.Name, err)
		}
	}
	r, ok := ranges[s.Name]
	if !ok {
		return nil
	}
	var x float64
	switch v := s.value.(type) {
	case *int:
		x = float64(*v)
	case *uint64:
		x = float64(*v)
	case *float64:
		if x = *v; math.IsNaN(x) || math.IsInf(x, 0) || x < r.least {
			return fmt.Errorf("--%s: want a finite number of at least %v, got %v", s.Name, r.least, x)
		}
	}
	switch {
	case x < r.least:
		return fmt.Errorf("--%s: want at least %.0f, got %s", s.Name, r.least, s)
	case x > r.most:
		most := strconv.FormatFloat(r.most, 'g', -1, 64)
		if r.most < 1<<53 {
			most = strconv.FormatFloat(r.most, 'f', -1, 64)
		}
		return fmt.Errorf("--%s: want at most %s, got %s", s.Name, most, s)
	}
	return nil
}
