package train

import (
	"fmt"
	"maps"
	"slices"
)

// Deviation is something that was not what it was when a run went on after a step, as
// Options.AllowOtherBits lets it.
type Deviation struct {
	Step int    `json:"step"`
	What string `json:"what"` // "setting seed", "device driver", "file optimizer.safetensors"
	Want string `json:"want"` // that of the checkpoint
	Got  string `json:"got"`
}

// judge decides what becomes of a run that is resumed otherwise than it was.
type judge struct {
	allow    bool
	step     int // of the checkpoint
	progress Progress
	found    []Deviation
}

// differs refuses with err what was wanted otherwise, or notes it.
func (j *judge) differs(err error, what, want, got string) error {
	if !j.allow {
		return fmt.Errorf("--resume: %w (--allow-other-bits goes on all the same, and notes it)", err)
	}
	j.progress.Say(fmt.Sprintf("warning: %s: want %s, got %s: the bits from here on are no longer those of an "+
		"uninterrupted run", what, want, got))
	j.found = append(j.found, Deviation{j.step, what, want, got})
	return nil
}

// device compares what decides the bits of a device's results.
func (j *judge) device(want, got map[string]string) error {
	if want == nil { // an earlier version
		return nil
	}
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if want[name] == got[name] {
			continue
		}
		what := "device " + name
		if name == "device" {
			what = name
		}
		w, g := orNone(want[name]), orNone(got[name])
		err := fmt.Errorf("%s: want %s, with which the run began, got %s: other bits would come of it", what, w, g)
		if err := j.differs(err, what, w, g); err != nil {
			return err
		}
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
