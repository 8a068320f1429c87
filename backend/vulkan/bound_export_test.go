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

// Forget drops what was kept. Submissions are as large as they may be from then on: a device that was slow, as one of software
// beside other work, has small ones, and needs no barriers between them.
func (t *Tap) Forget() {
	t.kept = nil
	t.backend.pace = pace{batch: mostBatch, ramp: mostBatch}
}

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

// OrdersReads reports whether a barrier stands between a command that writes to memory and one that reads it, in either
// order. What a kernel reads in order to add to it counts as written.
func (t *Tap) OrdersReads(p Place) bool {
	commands := t.kept[p.Submission]
	first, last := p.Command, p.Command+1
	for first > 0 && commands[first-1].kind != barrierCommand {
		first--
	}
	for last < len(commands) && commands[last].kind != barrierCommand {
		last++
	}
	for _, before := range commands[first:p.Command] {
		for _, after := range commands[p.Command+1 : last] {
			readBefore, writtenBefore := t.touches(before)
			readAfter, writtenAfter := t.touches(after)
			if overlap(writtenBefore, readAfter) || overlap(readBefore, writtenAfter) {
				return true
			}
		}
	}
	return false
}

// touches are the parts of buffers that a command reads, and those that it writes to.
func (t *Tap) touches(c command) (read, written []binding) {
	if c.kind == copyCommand {
		return []binding{{c.from, c.fromAt, c.n}}, []binding{{c.to, c.toAt, c.n}}
	}
	for _, k := range t.backend.kernels {
		for _, f := range k.forms {
			for _, made := range f.pipelines {
				if made.id != c.pipeline {
					continue
				}
				for i, b := range c.list[:c.bindings.n] {
					if k.Args[i].Written {
						written = append(written, b)
					} else {
						read = append(read, b)
					}
				}
				return read, written
			}
		}
	}
	return nil, nil
}

func overlap(list, other []binding) bool {
	for _, a := range list {
		for _, b := range other {
			if a.buffer == b.buffer && a.at < b.at+b.size && b.at < a.at+a.size {
				return true
			}
		}
	}
	return false
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
