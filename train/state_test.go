package train

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wholeState is a state with something in every field.
func wholeState() state {
	loss := 0.0
	s := newState()
	s.Program, s.Step, s.Loss, s.Data = program(), 7, 1.5, "ab"
	s.Device, s.Settings = map[string]string{"device": "cpu"}, map[string]string{"seed": "0", "steps": "9"}
	s.Inputs, s.Rates = []input{{Setting: "data", Size: 3, SHA256: noDigest}}, map[string]float64{"lr": 0}
	s.Changes, s.OtherBits = []RateChange{{3, "lr", 1, 2}}, []Deviation{{3, "device", "cpu", "vulkan"}}
	s.Measured, s.HeldOut, s.Before, s.Best, s.WithoutGain = 5, &loss, &loss, &bestResult{Step: 5, HeldOutLoss: 0}, 1
	s.LossScale, s.Files = &LossScale{Scale: 4, Skipped: 2}, []savedFile{{"a", 0, noDigest}, {"b", 3, noDigest}}
	return s
}

// What is written is read, and every byte of it counts.
func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), stateFile)
	if err := wholeState().write(path); err != nil {
		t.Fatal(err)
	}
	s, err := readState(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.text()
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(good, text) {
		t.Fatalf("read and written again it is %s, %v", text, err)
	}
	for at := range good {
		for _, other := range []byte{good[at] ^ 1, good[at] ^ 0x20, ' '} {
			if other == good[at] {
				continue
			}
			bad := bytes.Clone(good)
			bad[at] = other
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := readState(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("byte %d, %q, as %q: %v", at, good[at], other, err)
			}
		}
	}
}

func TestStatesThatAreNone(t *testing.T) {
	for want, change := range map[string]func(m map[string]any){
		`field format: want "agora-checkpoint", got "zip"`: func(m map[string]any) { m["format"] = "zip" },
		"field version: want at most 2, got 3":             func(m map[string]any) { m["version"] = 3 },
		"field version: want at most 2, got 0": func(m map[string]any) {
			delete(m, "version")
		},
		"field step: want a whole number of 64 bits, got a string":  func(m map[string]any) { m["step"] = "7" },
		"field step: want at least 0, got -1":                       func(m map[string]any) { m["step"] = -1 },
		"field measured: want -1 to the 7 steps, got 8":             func(m map[string]any) { m["measured"] = 8 },
		"field best.step: want 0 to the 7 steps, got 9":             func(m map[string]any) { m["best"] = bestResult{Step: 9, HeldOutLoss: 1} },
		"field without_gain: want at least 0, got -1":               func(m map[string]any) { m["without_gain"] = -1 },
		"field loss_scale: want a power of two":                     func(m map[string]any) { m["loss_scale"] = LossScale{Scale: 3} },
		"field loss_scale.skipped: want at most the 7 steps, got 8": func(m map[string]any) { m["loss_scale"] = LossScale{Scale: 4, Skipped: 8} },
		"field settings: want those of the run, got none": func(m map[string]any) {
			delete(m, "settings")
		},
		"field device: want that of the run, got none":                      func(m map[string]any) { m["device"] = nil },
		"field files: want those of the checkpoint, got none":               func(m map[string]any) { m["files"] = []int{} },
		`field files[1].name: want another file of the folder, got "a"`:     func(m map[string]any) { m["files"].([]any)[1].(map[string]any)["name"] = "a" },
		`field files[0].name: want another file of the folder, got "../a"`:  func(m map[string]any) { m["files"].([]any)[0].(map[string]any)["name"] = "../a" },
		`field files[0].name: want another file of the folder, got ".."`:    func(m map[string]any) { m["files"].([]any)[0].(map[string]any)["name"] = ".." },
		`field files[0].name: want another file of the folder, got "state.`: func(m map[string]any) { m["files"].([]any)[0].(map[string]any)["name"] = stateFile },
		"field files[0].size: want at least 0, got -1":                      func(m map[string]any) { m["files"].([]any)[0].(map[string]any)["size"] = -1 },
		"field files[0].sha256: want 64 hexadecimal digits":                 func(m map[string]any) { m["files"].([]any)[0].(map[string]any)["sha256"] = "AB" },
		"field state_sha256: want 64 hexadecimal digits": func(m map[string]any) {
			delete(m, "state_sha256")
		},
	} {
		text, err := wholeState().text()
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		if text, err = json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		if _, err := parseState(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for text, want := range map[string]string{
		`{"format":"agora-checkpoint","version":1,"step":3,"step":4}`: "field step: want each name once, got it twice",
		`{"format":"agora-checkpoint","Version":1}`:                   "field version: want at most 2, got 0",
		`[]`: "want a checkpoint's state: line 1: want an object, got a list",
	} {
		if _, err := parseState([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add(`{"format":"agora-checkpoint","version":1,"step":3}`)
	f.Add(`{"format":"agora-checkpoint","version":1,"step":-3}`)
	f.Add(`{"format":"agora-checkpoint","version":1,"step":3,"loss_scale":{"scale":1024,"good":2,"skipped":1}}`)
	f.Add(`{"format":"agora-checkpoint","version":1,"step":3,"loss_scale":{"scale":1e-320,"good":2,"skipped":4}}`)
	text, err := wholeState().text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseState([]byte(text))
		if err != nil {
			return
		}
		if s.Step < 0 || s.WithoutGain < 0 || s.LossScale.skipped() > s.Step || !(s.LossScale.scale() >= 1) ||
			s.Measured > s.Step {
			t.Errorf("%q gave %+v", text, s)
		}
		for _, file := range s.Files {
			if !filepath.IsLocal(file.Name) || filepath.Base(file.Name) != file.Name || file.Name == stateFile ||
				file.Size < 0 {
				t.Errorf("%q has the file %q", text, file.Name)
			}
		}
		again, err := s.text()
		if err != nil {
			t.Fatalf("%q cannot be written: %v", text, err)
		}
		if s.Version < 2 { // it has no settings to be written with
			return
		}
		if _, err := parseState(again); err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}
