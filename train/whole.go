package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
)

// digestFiles takes size and SHA-256 of every file of a checkpoint but its state.
func digestFiles(ctx context.Context, dir string) ([]savedFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []savedFile
	for _, e := range entries {
		if e.Name() == stateFile {
			continue
		}
		f, err := digestFile(ctx, filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func digestFile(ctx context.Context, path string) (savedFile, error) {
	f, err := regular.Open(path)
	if err != nil {
		return savedFile{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, until{ctx, f})
	if err != nil {
		return savedFile{}, fmt.Errorf("%s: %w", path, err)
	}
	return savedFile{filepath.Base(path), n, hex.EncodeToString(h.Sum(nil))}, nil
}

// until is a reader that ends with ctx's error when ctx ends: files of checkpoints may be large.
type until struct {
	ctx context.Context
	io.Reader
}

func (u until) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(b)
}

// compareFiles compares a checkpoint's folder with what its state says of it, and tells differ
// of everything that is otherwise: the file, what was wanted and what is there. It ends with
// differ's error.
func (s *state) compareFiles(ctx context.Context, dir string, differ func(file, want, got string) error) error {
	if s.Version < 2 && s.Files == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, e := range entries {
		there[e.Name()] = true
		known := e.Name() == stateFile || slices.ContainsFunc(s.Files,
			func(f savedFile) bool { return f.Name == e.Name() })
		if !known {
			if err := differ(e.Name(), "no such file", "one"); err != nil {
				return err
			}
		}
	}
	for _, want := range s.Files {
		if !there[want.Name] {
			if err := differ(want.Name, fmt.Sprintf("a file of %d bytes", want.Size), "none"); err != nil {
				return err
			}
			continue
		}
		switch got, err := digestFile(ctx, filepath.Join(dir, want.Name)); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // no regular file, or one that cannot be read
			if err := differ(want.Name, fmt.Sprintf("a file of %d bytes", want.Size), err.Error()); err != nil {
				return err
			}
		case got.Size != want.Size:
			err = differ(want.Name, fmt.Sprintf("%d bytes", want.Size), strconv.FormatInt(got.Size, 10))
			if err != nil {
				return err
			}
		case got.SHA256 != want.SHA256:
			err = differ(want.Name, "the SHA-256 "+want.SHA256[:16]+"…",
				fmt.Sprintf("%s… (%d bytes both)", got.SHA256[:16], got.Size))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// whole returns an error for the first thing in which a checkpoint is not as it was written.
func (c checkpoints) whole(ctx context.Context, step int) error {
	dir := c.path(step)
	s, err := readState(filepath.Join(dir, stateFile))
	if err != nil {
		return err
	}
	if s.Step != step {
		return renamed(dir, s.Step)
	}
	return s.compareFiles(ctx, dir, func(file, want, got string) error {
		return &DigestError{filepath.Join(dir, file), want, got}
	})
}

func renamed(dir string, step int) error {
	return fmt.Errorf("%s is not the folder's name as it was written: want %s, got %s", dir, stepName(step),
		filepath.Base(dir))
}

// stepName is the name of a checkpoint's folder.
func stepName(step int) string { return fmt.Sprintf("step-%06d", step) }

// parseStep reads it.
func parseStep(name string) (step int, ok bool) {
	digits, ok := strings.CutPrefix(name, "step-")
	step, err := strconv.Atoi(digits)
	return step, ok && err == nil && stepName(step) == name
}

// orEarlier adds to what is wrong with a checkpoint the newest one before it that is whole.
func (c checkpoints) orEarlier(ctx context.Context, step int, err error) error {
	steps, listErr := c.steps()
	if err == nil || listErr != nil {
		return err
	}
	earlier := 0
	for _, s := range slices.Backward(steps) {
		if s >= step {
			continue
		}
		whole := c.whole(ctx, s) == nil
		if ctx.Err() != nil {
			return err
		}
		if whole {
			return fmt.Errorf("%w; %s is whole: --resume-from %[2]s goes on from there", err, stepName(s))
		}
		earlier++
	}
	if earlier == 0 {
		return fmt.Errorf("%w; there is no earlier checkpoint", err)
	}
	return fmt.Errorf("%w; none of the %d earlier checkpoints is whole", err, earlier)
}

// choose finds the checkpoint to go on from: that of the given name, or the newest; ok is
// false where there is none. What is wrong with it is told j.
func (c checkpoints) choose(ctx context.Context, name string, j *judge) (s state, ok bool, err error) {
	steps, err := c.steps()
	if err != nil {
		return state{}, false, err
	}
	var step int
	switch {
	case name != "":
		if step, ok = parseStep(name); !ok || !slices.Contains(steps, step) {
			return state{}, false, fmt.Errorf("--resume-from: want a checkpoint of %s, %s, got %q", c.dir,
				listSteps(steps),
				shortened(name))
		}
	case len(steps) == 0:
		return state{}, false, nil
	default:
		step = steps[len(steps)-1]
	}
	dir := c.path(step)
	if err := atomicfile.RemoveLeftovers(dir); err != nil { // of a state.json that was being replaced
		return state{}, false, err
	}
	damaged := func(err error) error { return c.orEarlier(ctx, step, err) }
	if j.allow {
		damaged = func(err error) error { return err }
	}
	s, err = readState(filepath.Join(dir, stateFile))
	if bad, isDigest := errors.AsType[*DigestError](err); isDigest {
		j.step = s.Step
		err = j.differs(damaged(bad), "file "+stateFile, bad.Want, bad.Got)
	} else if err != nil {
		err = fmt.Errorf("--resume: %w", c.orEarlier(ctx, step, err))
	}
	if err != nil {
		return state{}, false, err
	}
	if j.step = s.Step; s.Step != step {
		if err := j.differs(damaged(renamed(dir, s.Step)), "folder", stepName(s.Step), stepName(step)); err != nil {
			return state{}, false, err
		}
		if err := os.Rename(dir, c.path(s.Step)); err != nil {
			return state{}, false, fmt.Errorf("giving a checkpoint its name again: %w", err)
		}
	}
	return s, true, nil
}

// check compares the files of the checkpoint that was chosen.
func (c checkpoints) check(ctx context.Context, s *state, j *judge) error {
	dir := c.path(s.Step)
	return s.compareFiles(ctx, dir, func(file, want, got string) error {
		var err error = &DigestError{filepath.Join(dir, file), want, got}
		if !j.allow {
			err = c.orEarlier(ctx, s.Step, err)
		}
		return j.differs(err, "file "+file, want, got)
	})
}

// checkBest finds out before the first step whether the weights that may become the result
// are still there.
func (c checkpoints) checkBest(ctx context.Context, s *state, j *judge) error {
	if s.Best == nil || s.Best.Step == s.Step {
		return nil
	}
	err := c.whole(ctx, s.Best.Step)
	if err == nil {
		return nil
	}
	got := err.Error()
	err = fmt.Errorf("the best weights so far, which the result is to be made of: %w", err)
	s.Best = nil
	return j.differs(err, "best checkpoint", "it to be as it was written", got)
}

// removeAfter makes room for the checkpoints of a run that goes on from a step: those after
// it are removed, and what was not written like that is set aside.
func (c checkpoints) removeAfter(step int, p Progress) error {
	steps, err := c.steps()
	for _, later := range slices.Backward(steps) {
		if err != nil || later <= step {
			break
		}
		dir := c.path(later)
		if c.whole(context.Background(), later) == nil {
			err = atomicfile.RemoveFolder(dir)
			continue
		}
		aside := filepath.Join(c.dir, "damaged-"+stepName(later))
		for n := 2; regular.Exists(aside); n++ {
			aside = filepath.Join(c.dir, fmt.Sprintf("damaged-%s-%d", stepName(later), n))
		}
		if err = os.Rename(dir, aside); err == nil {
			p.Say(fmt.Sprintf("%s is now %s: it is not as it was written, and in the way", dir, filepath.Base(aside)))
		}
	}
	if err != nil {
		return fmt.Errorf("checkpoints after step %d: %w", step, err)
	}
	return nil
}

func listSteps(steps []int) string {
	if len(steps) == 0 {
		return "which has none"
	}
	var names []string
	for _, s := range steps {
		names = append(names, stepName(s))
	}
	return strings.Join(names, ", ")
}
