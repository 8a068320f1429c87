package train

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/encoding/tfevents"
	"github.com/agora-ml/agora/internal/folderlock"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
)

// Difference is a file in which two runs differ.
type Difference struct {
	File string `json:"file"` // in the runs' folders, with slashes
	What string `json:"what"` // the first tensor, field or record that is another
}

func (d Difference) String() string { return d.File + ": " + d.What }

// Compare compares the files of two runs' folders and counts them: all of them, apart from
// times, speeds, memory, and the folders' own names. A run and one of the same settings that was cut and
// resumed differ in nothing.
func Compare(a, b string) (files int, different []Difference, err error) {
	inA, err := list(a)
	if err != nil {
		return 0, nil, err
	}
	inB, err := list(b)
	if err != nil {
		return 0, nil, err
	}
	add := func(file, what string) {
		if what != "" {
			different = append(different, Difference{file, what})
		}
	}
	all := maps.Clone(inA)
	maps.Copy(all, inB)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if path.Dir(name) == TensorBoardFolder || name == folderlock.File {
			continue // names with times; what a killed run leaves, though it had ended
		}
		files++
		switch _, inFirst := inA[name]; {
		case !inFirst:
			add(name, "only in "+b)
			continue
		case inB[name] == "":
			add(name, "only in "+a)
			continue
		}
		what, err := compareFile(name, inA[name], inB[name])
		if err != nil {
			return files, different, err
		}
		add(name, what)
	}
	n, what, err := compareEvents(filepath.Join(a, TensorBoardFolder), filepath.Join(b, TensorBoardFolder))
	add(TensorBoardFolder, what)
	return files + n, different, err
}

// list gives the path of each file in a folder, by its name there.
func list(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		files[filepath.ToSlash(name)] = file
		return err
	})
	return files, err
}

// compareFile says what differs first in a file that both runs have, or "".
func compareFile(name, a, b string) (string, error) {
	switch name {
	case ConfigFile:
		return compareConfigs(a, b)
	case MetricsFile:
		return compareMetrics(a, b)
	case SummaryFile:
		return compareSummaries(filepath.Dir(a), filepath.Dir(b))
	}
	same, err := equalFiles(a, b)
	if err != nil || same {
		return "", err
	}
	what := ""
	switch path.Ext(name) {
	case ".safetensors":
		what, err = compareTensors(a, b)
	case ".json":
		what, err = compareMembers(a, b)
	}
	if err != nil { // one of them is no such file
		return err.Error(), nil
	}
	return cmp.Or(what, "other bytes"), nil
}

func equalFiles(a, b string) (bool, error) {
	x, errA := digestFile(context.Background(), a)
	y, errB := digestFile(context.Background(), b)
	return x.SHA256 == y.SHA256, errors.Join(errA, errB)
}

func compareConfigs(a, b string) (string, error) {
	var x, y Config
	if err := errors.Join(x.Read(a), y.Read(b)); err != nil {
		return "", err
	}
	old := x.Settings()
	for i, s := range y.Settings() {
		if s.Name != "out" && s.String() != old[i].String() {
			return fmt.Sprintf("%s: %q and %q", s.Name, old[i], s), nil
		}
	}
	return "", nil
}

func compareMetrics(a, b string) (string, error) {
	x, errA := readRecords(a)
	y, errB := readRecords(b)
	if err := errors.Join(errA, errB); err != nil {
		return "", err
	}
	for _, all := range [][]Record{x, y} {
		for i := range all {
			all[i].Seconds, all[i].Time, all[i].TokensPerSec, all[i].PeakBytes, all[i].Processes = 0, 0, 0, 0, nil
		}
	}
	for i := range min(len(x), len(y)) {
		if !reflect.DeepEqual(x[i], y[i]) {
			text, _ := json.Marshal([]Record{x[i], y[i]}) // what was read can be written
			return fmt.Sprintf("record %d: %s", i+1, text), nil
		}
	}
	if len(x) != len(y) {
		return fmt.Sprintf("%d and %d records", len(x), len(y)), nil
	}
	return "", nil
}

func compareSummaries(a, b string) (string, error) {
	x, errA := readSummary(a)
	y, errB := readSummary(b)
	if err := errors.Join(errA, errB); err != nil {
		return "", err
	}
	for _, s := range []*Summary{&x, &y} {
		s.Out, s.Seconds, s.TokensPerSec, s.PeakBytes = "", 0, 0, 0
	}
	if reflect.DeepEqual(x, y) {
		return "", nil
	}
	textA, errA := json.Marshal(x)
	textB, errB := json.Marshal(y)
	return differentMember(textA, textB), errors.Join(errA, errB)
}

func compareMembers(a, b string) (string, error) {
	x, errA := regular.Read(a, maxState)
	y, errB := regular.Read(b, maxState)
	return differentMember(x, y), errors.Join(errA, errB)
}

// differentMember says which member of two JSON objects differs first, or "".
func differentMember(a, b []byte) string {
	x, errA := strictjson.Members(a)
	y, errB := strictjson.Members(b)
	if errA != nil || errB != nil {
		return ""
	}
	for i := range min(len(x), len(y)) {
		if x[i].Name != y[i].Name {
			return fmt.Sprintf("field %s, and %s in its place", x[i].Name, y[i].Name)
		}
		if !bytes.Equal(x[i].Value, y[i].Value) {
			return fmt.Sprintf("field %s: %s and %s", x[i].Name, shortened(string(x[i].Value)),
				shortened(string(y[i].Value)))
		}
	}
	return ""
}

// compareTensors says which tensor of two files differs first, and where, or "".
func compareTensors(a, b string) (what string, err error) {
	x, err := safetensors.Open(a)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	y, err := safetensors.Open(b)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, y.Close()) }()
	if !slices.Equal(x.Names(), y.Names()) {
		return fmt.Sprintf("%d and %d tensors, not all of the same names", len(x.Names()), len(y.Names())), nil
	}
	for _, name := range x.Names() {
		s, errS := x.Tensor(name)
		t, errT := y.Tensor(name)
		if err := errors.Join(errS, errT); err != nil {
			return "", err
		}
		if s.DType != t.DType || !slices.Equal(s.Shape, t.Shape) {
			return fmt.Sprintf("tensor %s: %s %v and %s %v", name, s.DType, s.Shape, t.DType, t.Shape), nil
		}
		if bytes.Equal(s.Data, t.Data) {
			continue
		}
		size := max(1, len(s.Data)/max(1, tensorElements(s.Shape)))
		first, count := -1, 0
		for at := 0; at+size <= len(s.Data); at += size {
			if !bytes.Equal(s.Data[at:at+size], t.Data[at:at+size]) {
				if count++; first < 0 {
					first = at / size
				}
			}
		}
		return fmt.Sprintf("tensor %s: %d of %d numbers, the first of them number %d", name, count,
			tensorElements(s.Shape),
			first), nil
	}
	return "", nil
}

func tensorElements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// compareEvents compares what TensorBoard sees of two runs, and counts the files of each.
func compareEvents(a, b string) (files int, what string, err error) {
	x, n, err := readEvents(a)
	if err != nil {
		return 0, "", err
	}
	y, m, err := readEvents(b)
	if err != nil {
		return 0, "", err
	}
	switch {
	case n != m:
		what = fmt.Sprintf("%d and %d event files", n, m)
	case len(x) != len(y):
		what = fmt.Sprintf("%d and %d events", len(x), len(y))
	default:
		for i := range x {
			if !reflect.DeepEqual(x[i], y[i]) {
				what = fmt.Sprintf("event %d: %v and %v", i+1, x[i], y[i])
				break
			}
		}
	}
	return n, what, nil
}

// readEvents reads a run's event files without what the clock has measured.
func readEvents(dir string) (events []tfevents.Event, files int, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+tfevents.Suffix))
	if err != nil {
		return nil, 0, err
	}
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			return nil, 0, err
		}
		for e, readErr := range tfevents.Read(f) {
			if err = readErr; err != nil {
				break
			}
			e.WallTime = 0
			e.Scalars = slices.DeleteFunc(e.Scalars, func(s tfevents.Scalar) bool {
				return strings.HasPrefix(s.Tag, "speed/") || strings.HasPrefix(s.Tag, "memory/")
			})
			events = append(events, e)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", p, err)
		}
	}
	return events, len(paths), nil
}
