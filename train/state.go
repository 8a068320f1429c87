package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/internal/version"
)

// state is what a run must know to go on, beside weights and optimizer, and what it must
// find again to go on with the same bits. All else (order of rows, packing, dropout, the
// learning rate) is a function of the step and the settings.
type state struct {
	Format    string             `json:"format"`
	Version   int                `json:"version"`
	Program   string             `json:"program,omitempty"`    // that wrote it
	Step      int                `json:"step"`                 // steps made
	Loss      float64            `json:"loss"`                 // of the last step
	Device    map[string]string  `json:"device,omitempty"`     // tensor.Device.Arithmetic
	Settings  map[string]string  `json:"settings,omitempty"`   // those of class Fixed
	Data      string             `json:"data"`                 // fingerprint of the sequences
	Mixture   string             `json:"mixture,omitempty"`    // of tasks, see describeMixture
	Inputs    []input            `json:"inputs,omitempty"`     // what they were made of, and the model; older versions wrote none
	Rates     map[string]float64 `json:"rates,omitempty"`      // of the next step: the settings of class Noted
	Changes   []RateChange       `json:"changes,omitempty"`    // of those, while the run went on
	OtherBits []Deviation        `json:"other_bits,omitempty"` // where it went on although something was not the same
	Measured  int                `json:"measured"`             // step of the last measurement; -1: none
	HeldOut   *float64           `json:"held_out,omitempty"`
	Before    *float64           `json:"held_out_before,omitempty"`
	Best      *bestResult        `json:"best,omitempty"`

	// Of preference training, beside HeldOut and Before.
	Preference       *PreferenceMetrics `json:"preference,omitempty"`
	PreferenceBefore *PreferenceMetrics `json:"preference_before,omitempty"`

	WithoutGain int         `json:"without_gain"` // measurements since the best one
	LossScale   *LossScale  `json:"loss_scale,omitempty"`
	Files       []savedFile `json:"files,omitempty"`        // of the checkpoint, all but this one
	SHA256      string      `json:"state_sha256,omitempty"` // of this file with as many zeros in the place of this digest
}

// bestResult is the measurement so far that is the best in what Config.BestBy says.
type bestResult struct {
	Step        int                `json:"step"`
	HeldOutLoss float64            `json:"held_out_loss"`    // 0 where none is measured
	Scores      map[string]float64 `json:"scores,omitempty"` // of tasks
}

// savedFile is a file of a checkpoint.
type savedFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

func newState() state { return state{Format: stateFormat, Version: stateVersion, Measured: -1} }

const (
	stateFormat  = "agora-checkpoint"
	stateVersion = 2        // version 1 knew no settings, device and files
	maxState     = 16 << 20 // bytes: more than any state.json has
)

// program is this program, as far as bits may depend on it.
func program() string { return "agora " + version.Read().String() + ", " + runtime.Version() }

// noDigest stands in the place of a state's digest while it is computed.
var noDigest = strings.Repeat("0", 2*sha256.Size)

// text is the state as a file, with its digest.
func (s state) text() ([]byte, error) {
	s.Version, s.SHA256 = stateVersion, noDigest
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	sum := sha256.Sum256(text)
	hex.Encode(text[bytes.LastIndex(text, []byte(noDigest)):], sum[:])
	return text, nil
}

func (s state) write(path string) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// DigestError is a file of a checkpoint that is not as it was written.
type DigestError struct {
	Path      string
	Want, Got string
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s is not as it was written: want %s, got %s", e.Path, e.Want, e.Got)
}

// readState reads a state.json. A *DigestError comes with the state that was read.
func readState(path string) (state, error) {
	text, err := regular.Read(path, maxState)
	if err != nil {
		return state{}, err
	}
	s, err := parseState(text)
	if err != nil {
		return state{}, fmt.Errorf("%s: %w", path, err)
	}
	if s.Version == 1 && s.SHA256 == "" {
		return s, nil
	}
	if at := bytes.LastIndex(text, []byte(s.SHA256)); at >= 0 { // it may be spelled with escapes, but not by us
		copy(text[at:], noDigest)
	}
	if sum := sha256.Sum256(text); s.SHA256 != hex.EncodeToString(sum[:]) {
		return s, &DigestError{path, "the SHA-256 " + s.SHA256[:16] + "…", hex.EncodeToString(sum[:8]) + "…"}
	}
	return s, nil
}

func parseState(text []byte) (state, error) {
	var s state
	if err := strictjson.Unmarshal(text, &s); err != nil {
		return state{}, fmt.Errorf("want a checkpoint's state: %w", err)
	}
	switch {
	case s.Format != stateFormat:
		return state{}, fmt.Errorf("field format: want %q, got %q", stateFormat, shortened(s.Format))
	case s.Version < 1 || s.Version > stateVersion:
		return state{}, fmt.Errorf("field version: want at most %d, got %d", stateVersion, s.Version)
	case s.Step < 0:
		return state{}, fmt.Errorf("field step: want at least 0, got %d", s.Step)
	case s.WithoutGain < 0:
		return state{}, fmt.Errorf("field without_gain: want at least 0, got %d", s.WithoutGain)
	case s.Measured < -1 || s.Measured > s.Step:
		return state{}, fmt.Errorf("field measured: want -1 to the %d steps, got %d", s.Step, s.Measured)
	case s.Best != nil && (s.Best.Step < 0 || s.Best.Step > s.Step):
		return state{}, fmt.Errorf("field best.step: want 0 to the %d steps, got %d", s.Step, s.Best.Step)
	case s.LossScale.skipped() > s.Step:
		return state{}, fmt.Errorf("field loss_scale.skipped: want at most the %d steps, got %d", s.Step,
			s.LossScale.Skipped)
	}
	if s.LossScale != nil {
		if err := s.LossScale.check(); err != nil {
			return state{}, fmt.Errorf("field loss_scale: %w", err)
		}
	}
	if s.SHA256 != "" || s.Version > 1 {
		if err := isDigest(s.SHA256); err != nil {
			return state{}, fmt.Errorf("field state_sha256: %w", err)
		}
	}
	if s.Version > 1 {
		switch {
		case len(s.Settings) == 0:
			return state{}, errors.New("field settings: want those of the run, got none")
		case len(s.Device) == 0:
			return state{}, errors.New("field device: want that of the run, got none")
		case len(s.Files) == 0:
			return state{}, errors.New("field files: want those of the checkpoint, got none")
		}
	}
	return s, s.checkFiles()
}

// checkFiles finds what names no file beside state.json.
func (s *state) checkFiles() error {
	seen := map[string]bool{stateFile: true}
	for i, f := range s.Files {
		switch err := isDigest(f.SHA256); {
		case f.Name == "." || !filepath.IsLocal(f.Name) || f.Name != filepath.Base(f.Name) ||
			strings.ContainsAny(f.Name, `/\`) || seen[f.Name]:
			return fmt.Errorf("field files[%d].name: want another file of the folder, got %q", i, shortened(f.Name))
		case f.Size < 0:
			return fmt.Errorf("field files[%d].size: want at least 0, got %d", i, f.Size)
		case err != nil:
			return fmt.Errorf("field files[%d].sha256: %w", i, err)
		}
		seen[f.Name] = true
	}
	return nil
}

func isDigest(s string) error {
	if len(s) != 2*sha256.Size || strings.Trim(s, "0123456789abcdef") != "" {
		return fmt.Errorf("want %d hexadecimal digits, got %q", 2*sha256.Size, shortened(s))
	}
	return nil
}
