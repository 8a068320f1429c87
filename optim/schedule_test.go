package optim

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/agora-ml/agora/internal/golden"
)

func TestGoldenSchedules(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(golden.Folder(t), "schedules.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Warmup int `json:"warmup_steps"`
		Total  int `json:"total_steps"`
		Linear []float64
		Cosine []float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for name, factors := range map[string][]float64{"linear": want.Linear, "cosine": want.Cosine} {
		s, err := NewSchedule(name, want.Warmup, want.Total)
		if err != nil {
			t.Fatal(err)
		}
		if len(factors) != want.Total {
			t.Fatalf("%s: %d factors for %d steps", name, len(factors), want.Total)
		}
		for step, f := range factors {
			if got := float64(s(step)); math.Abs(got-f) > 1e-7 {
				t.Errorf("%s, step %d: %.9g, want %.9g", name, step, got, f)
			}
		}
	}
}

func TestScheduleEnds(t *testing.T) {
	for _, c := range []struct {
		name                string
		warmup, total, step int
		want                float32
	}{
		{"constant", 0, 1, 0, 1}, {"constant", 4, 10, 1, 0.25}, {"constant", 4, 10, 4, 1}, {"constant", 4, 10, 99, 1},
		{"linear", 0, 10, 0, 1}, {"linear", 0, 10, 10, 0}, {"linear", 0, 10, 11, 0}, {"linear", 10, 10, 10, 0},
		{"cosine", 0, 10, 5, 0.5}, {"cosine", 2, 10, 10, 0}, {"cosine", 2, 10, 50, 0}, {"cosine", 2, 10, 2, 1},
	} {
		s, err := NewSchedule(c.name, c.warmup, c.total)
		if err != nil {
			t.Fatal(err)
		}
		if got := s(c.step); math.Abs(float64(got-c.want)) > 1e-7 {
			t.Errorf("%s(%d, %d), step %d: %g, want %g", c.name, c.warmup, c.total, c.step, got, c.want)
		}
	}
	for _, c := range []struct {
		name          string
		warmup, total int
	}{{"step", 0, 10}, {"linear", -1, 10}, {"linear", 11, 10}, {"linear", 0, 0}} {
		if _, err := NewSchedule(c.name, c.warmup, c.total); err == nil {
			t.Errorf("NewSchedule(%q, %d, %d) gave no error", c.name, c.warmup, c.total)
		}
	}
}
