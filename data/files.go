package data

import (
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
// What splits are is told by the head of its README.md, as Hugging Face's data sets have it (configs, of which the
// default or the only one is read), else by the names of files or folders: train-00000-of-00002.parquet,
// test.jsonl, validation/a.csv. They may lie in a folder named data.
func Files(path string) ([]string, error) {
	l, err := list(path)
	return l.files, err
}

// listing is what a path names.
type listing struct {
	files []string
	// others are files of other splits, and of other configurations.
	others []string
}

func list(path string) (listing, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil && strings.ContainsAny(path, "*?["):
		all, err := filepath.Glob(path)
		if err != nil || len(all) == 0 {
			return listing{}, fmt.Errorf("data: %s: want a pattern that files match, got none", path)
		}
		return listing{files: all}, nil
	case err != nil || !info.IsDir():
		return listing{files: []string{path}}, nil // whoever opens it says what is wrong
	}
	if err := notSavedToDisk(path); err != nil {
		return listing{}, fmt.Errorf("data: %s: %w", path, err)
	}
	configs, err := readCard(path)
	if err == nil && len(configs) > 0 {
		l, err := filesOfCard(path, configs)
		if err != nil {
			return listing{}, fmt.Errorf("data: %s: %w", filepath.Join(path, cardFile), err)
		}
		return l, nil
	}
	if err != nil {
		return listing{}, fmt.Errorf("data: %s: %w", filepath.Join(path, cardFile), err)
	}
	return filesOfFolder(path, true)
}

// listAll are the files that paths name.
func listAll(paths []string) (all listing, err error) {
	for _, path := range paths {
		l, err := list(path)
		if err != nil {
			return listing{}, err
		}
		all.files, all.others = append(all.files, l.files...), append(all.others, l.others...)
	}
	return all, nil
}

// holdsRows reports whether files of that name are read.
func holdsRows(name string) bool {
	return slices.Contains([]string{".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet"},
		filepath.Ext(unpackedName(strings.ToLower(name))))
}
