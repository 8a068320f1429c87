package optim

import (
	"fmt"
	"math"
	"strings"
)

// Schedule is the factor of the learning rate in a step, counted from 0.
type Schedule func(step int) float32

// Constant rises in a straight line from 0 in step 0 to 1 in step warmup, and stays.
func Constant(warmup int) Schedule {
	return warmedUp(warmup, func(int) float64 { return 1 })
}

// Linear rises as Constant does, then falls in a straight line to 0 in step total.
func Linear(warmup, total int) Schedule {
	return warmedUp(warmup, func(step int) float64 { return 1 - progress(step, warmup, total) })
}

// Cosine rises as Constant does, then falls along half a cosine to 0 in step total.
func Cosine(warmup, total int) Schedule {
	return warmedUp(warmup, func(step int) float64 { return (1 + math.Cos(math.Pi*progress(step, warmup, total))) / 2 })
}

// schedules are those that have names, the default first.
var schedules = []struct {
	name string
	make func(warmup, total int) Schedule
}{
	{"cosine", Cosine}, {"linear", Linear}, {"constant", func(warmup, _ int) Schedule { return Constant(warmup) }},
}

// Schedules lists the names that NewSchedule takes, the default first.
func Schedules() []string {
	names := make([]string, len(schedules))
	for i, s := range schedules {
		names[i] = s.name
	}
	return names
}

// NewSchedule returns the schedule of a name, one of Schedules. total must be positive and
// warmup from 0 to total.
func NewSchedule(name string, warmup, total int) (Schedule, error) {
	if total < 1 || warmup < 0 || warmup > total {
		return nil, fmt.Errorf("optim: schedule %s: want 0 to total steps of warm-up and a positive total, got "+
			"warmup %d, total %d", name, warmup, total)
	}
	for _, s := range schedules {
		if s.name == name {
			return s.make(warmup, total), nil
		}
	}
	return nil, fmt.Errorf("optim: schedule: want one of %s, got %q", strings.Join(Schedules(), ", "), name)
}

func warmedUp(warmup int, after func(step int) float64) Schedule {
	return func(step int) float32 {
		if step < warmup {
			return float32(float64(step) / float64(warmup))
		}
		return float32(after(step))
	}
}

// progress is how far a step stands between the end of the warm-up (0) and the total (1).
func progress(step, warmup, total int) float64 {
	if step >= total {
		return 1
	}
	return float64(step-warmup) / float64(total-warmup)
}
