//go:build vulkan_bindings

package vulkan

import (
	"slices"

	"github.com/agora-ml/agora/tensor"
)

// Tap keeps what a backend submits and can submit it again.
type Tap struct {
	hardware
	backend *backend
	kept    [][]command
}

// Place is a command of one of the submissions that were kept.
type Place struct{ Submission, Command int }

// TapOf stands between a backend and its hardware from now on.
func TapOf(b tensor.Backend) *Tap {
	inner := b.(*backend)
	t := &Tap{hardware: inner.hw, backend: inner}
	inner.hw = t
	return t
}

func (t *Tap) submit(n uint64, commands []command, after uint64, stamps bool) error {
	t.kept = append(t.kept, slices.Clone(commands))
	return t.hardware.submit(n, commands, after, stamps)
}

// Forget drops what was kept.
func (t *Tap) Forget() { t.kept = nil }

// Barriers are the places of all barriers.
func (t *Tap) Barriers() (all []Place) {
	for s, commands := range t.kept {
		for i, c := range commands {
			if c.kind == barrierCommand {
				all = append(all, Place{s, i})
			}
		}
	}
	return all
}

// Replay submits everything again without one command, past the backend, which must be idle.
// The error is what validation says.
func (t *Tap) Replay(without Place) error {
	for s, commands := range t.kept {
		if s == without.Submission {
			commands = slices.Delete(slices.Clone(commands), without.Command, without.Command+1)
		}
		n := t.backend.next
		t.backend.next, t.backend.done = n+1, n
		if err := t.hardware.submit(n, commands, 0, false); err != nil {
			return err
		}
		if err := t.hardware.wait(n); err != nil {
			return err
		}
	}
	return nil
}
