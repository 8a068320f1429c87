package data

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files are the files that a path of rows names, in the order of their names: itself, those that a pattern such as
// rows/*.jsonl matches, or those of a folder. Of a folder that has splits these are the files to train on; a pattern
// asks for others.
//
// What splits are is told by what save_to_disk of Hugging Face's datasets wrote, or their cache has
// (dataset_dict.json, state.json, dataset_info.json); by the head of its README.md (configs, of which the default or
// the only one is read); else by the names of files or folders: train-00000-of-00002.parquet, test.jsonl,
// validation/a.csv. They may lie in a folder named data.
func Files(path string) ([]string, error) {
	l, err := list(path, "")
	return l.files, err
}

// SplitFiles are the Files of a path to train on, and those of another split, which is called so or by another word
// for it: validation is also valid, val and dev, and test is eval. Of a pattern, or where the path is a file, those
// are held out whose names tell that split, and all others are trained on.
func SplitFiles(path, split string) (train, heldOut []string, err error) {
	l, err := list(path, split)
	return l.files, l.heldOut, err
}

// list tells the files of a path, and of those of the split heldOut, which may be "".
func list(path, heldOut string) (listing, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil && strings.ContainsAny(path, "*?["):
		all, err := filepath.Glob(path)
		if err != nil || len(all) == 0 {
			return listing{}, fmt.Errorf("data: %s: want a pattern that files match, got none", path)
		}
		return filesAsNamed(all, heldOut), nil
	case err != nil || !info.IsDir():
		return filesAsNamed([]string{path}, heldOut), nil // whoever opens it says what is wrong
	}
	if l, ok, err := filesOfSaved(path, heldOut); ok || err != nil {
		return l, err
	}
	configs, err := readCard(path)
	if err == nil && len(configs) > 0 {
		l, err := filesOfCard(path, heldOut, configs)
		if err != nil {
			return listing{}, fmt.Errorf("data: %s: %w", filepath.Join(path, cardFile), err)
		}
		return l, nil
	}
	if err != nil {
		return listing{}, fmt.Errorf("data: %s: %w", filepath.Join(path, cardFile), err)
	}
	return filesOfFolder(path, heldOut, true)
}

// listAll are the files that paths name, at least one of which has the split heldOut unless that is "".
func listAll(paths []string, heldOut string) (all listing, err error) {
	for _, path := range paths {
		l, err := list(path, heldOut)
		if err != nil {
			return listing{}, err
		}
		all.files, all.others = append(all.files, l.files...), append(all.others, l.others...)
		all.heldOut, all.splits = append(all.heldOut, l.heldOut...), append(all.splits, l.splits...)
	}
	switch {
	case heldOut != "" && len(all.heldOut) == 0:
		names := slices.DeleteFunc(all.splits, func(s string) bool { return s == "" })
		return all, fmt.Errorf("data: held-out-split: want rows of the split %.40q in %s, got %s", heldOut,
			strings.Join(paths, ", "), cmp.Or(strings.Join(names, ", "), "no splits"))
	case heldOut != "" && len(all.files) == 0:
		return all, fmt.Errorf("data: held-out-split: want rows to train on beside the split %.40q, got none in %s", heldOut,
			strings.Join(paths, ", "))
	}
	return all, nil
}

// holdsRows reports whether files of that name are read.
func holdsRows(name string) bool {
	return columnReaderOf(name) != nil || slices.Contains([]string{".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt"},
		filepath.Ext(unpackedName(strings.ToLower(name))))
}
