package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
)

// Folders that Hugging Face's datasets writes have files of Arrow, and beside them what these are.
const (
	dictFile  = "dataset_dict.json" // of save_to_disk: a folder a split
	stateFile = "state.json"        // of save_to_disk: the files of one
	infoFile  = "dataset_info.json" // in the cache: its splits
)

// maxInfo bounds the bytes of one of them.
const maxInfo = 64 << 20

// savedState is a state.json.
type savedState struct {
	Files []struct {
		Name string `json:"filename"`
	} `json:"_data_files"`
	Split *string `json:"_split"`
	// Indices are files that say which of the rows are meant; versions before 2.0 wrote some.
	Indices []any `json:"_indices_data_files"`
}

// readInfo reads one of the files into v; not ok if it is not there.
func readInfo(path, name string, v any) (ok bool, err error) {
	text, err := regular.Read(filepath.Join(path, name), maxInfo)
	switch e, isPath := errors.AsType[*fs.PathError](err); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case isPath:
		err = e.Err
	case err == nil:
		err = strictjson.Unmarshal(text, v)
	}
	if err != nil {
		return false, fmt.Errorf("data: %s: %w", filepath.Join(path, name), err)
	}
	return true, nil
}

// filesOfSaved are those of a folder that save_to_disk wrote, of one split or of several, or that is in the cache of
// datasets; not ok if it is none.
func filesOfSaved(path, heldOut string) (l listing, ok bool, err error) {
	var dict struct {
		Splits []string `json:"splits"`
	}
	if ok, err = readInfo(path, dictFile, &dict); ok {
		l, err = filesOfDict(path, heldOut, dict.Splits)
		return l, true, err
	}
	if err == nil {
		var s split
		if s, ok, err = savedFiles(path); ok {
			l = listing{files: s.files, splits: []string{s.name}}
			if heldOut != "" && len(choose([]split{s}, heldOut)) > 0 {
				l.files, l.heldOut = nil, s.files
			}
			return l, true, nil
		}
	}
	if err == nil {
		return filesOfCache(path, heldOut)
	}
	return l, false, err
}

// savedFiles are the files of one split, which its state.json names in the order of their rows.
func savedFiles(path string) (s split, ok bool, err error) {
	var state savedState
	if ok, err = readInfo(path, stateFile, &state); !ok {
		return s, false, err
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("data: %s: %w", filepath.Join(path, stateFile), fmt.Errorf(format, args...))
	}
	if len(state.Files) == 0 {
		return s, false, wrong("_data_files: want files of rows, got none")
	}
	if len(state.Indices) > 0 {
		return s, false, wrong("_indices_data_files: want a data set that is saved as it is, got one of which indices say " +
			"which rows are meant; load and save it again")
	}
	for _, f := range state.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) || !holdsRows(f.Name) {
			return s, false, wrong("_data_files: want files of rows within the folder, got %.60q", f.Name)
		}
		s.files = append(s.files, filepath.Join(path, filepath.FromSlash(f.Name)))
	}
	if state.Split != nil {
		s.name = *state.Split
	}
	return s, true, nil
}

// filesOfDict are those of several splits, a folder each.
func filesOfDict(path, heldOut string, names []string) (l listing, err error) {
	var all []split
	for _, name := range names {
		if !filepath.IsLocal(name) || filepath.Base(name) != name {
			return l, fmt.Errorf("data: %s: splits: want names of folders, got %.60q", filepath.Join(path, dictFile), name)
		}
		all = append(all, split{name, []string{filepath.Join(path, name)}})
	}
	if l, err = divide(all, heldOut); err == nil && len(l.files) == 0 {
		err = fmt.Errorf("want one split to train on, got %s; name the folder to read", strings.Join(names, ", "))
	}
	if err != nil {
		return l, fmt.Errorf("data: %s: %w", path, err)
	}
	for _, folders := range []*[]string{&l.files, &l.heldOut} {
		for _, folder := range *folders { // there is one, or none
			s, ok, err := savedFiles(folder)
			if err == nil && !ok {
				err = fmt.Errorf("data: %s: want a %s in it, as save_to_disk writes one, got none", folder, stateFile)
			}
			if err != nil {
				return l, err
			}
			*folders = s.files
		}
	}
	return l, nil
}

// cached are names of files that the cache of datasets has beside the splits: results of map and filter.
const cached = "cache-"

// filesOfCache are those of a folder in the cache of datasets: NAME-train.arrow, NAME-test-00000-of-00002.arrow.
func filesOfCache(path, heldOut string) (l listing, ok bool, err error) {
	var info struct {
		Splits map[string]any `json:"splits"`
	}
	if ok, err = readInfo(path, infoFile, &info); !ok || len(info.Splits) == 0 {
		return l, false, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return l, false, fmt.Errorf("data: %w", err)
	}
	var all []split
	for _, e := range entries {
		stem, arrow := strings.CutSuffix(e.Name(), ".arrow")
		if !arrow || strings.HasPrefix(stem, cached) {
			continue
		}
		if m := shards.FindStringSubmatch(e.Name()); m != nil {
			stem = m[1]
		}
		name := ""
		for s := range info.Splits { // the longest, whatever the order
			if strings.HasSuffix(stem, "-"+s) && len(s) > len(name) {
				name = s
			}
		}
		if name == "" {
			return l, false, fmt.Errorf("data: %s: want files of the splits that %s names, got %.60q", path, infoFile, e.Name())
		}
		file := filepath.Join(path, e.Name())
		if i := slices.IndexFunc(all, func(s split) bool { return s.name == name }); i >= 0 {
			all[i].files = append(all[i].files, file)
			continue
		}
		all = append(all, split{name, []string{file}})
	}
	if len(all) == 0 {
		return l, false, nil
	}
	if l, err = divide(all, heldOut); err == nil && len(l.files) == 0 {
		err = errors.New("want files of the split train, got none; a pattern says which to read")
	}
	if err != nil {
		return l, false, fmt.Errorf("data: %s: %w", path, err)
	}
	return l, true, nil
}
