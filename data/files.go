package data

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// describing are files of a folder of rows that say what it is, and hold none.
var describing = []string{"readme.md", "license", "license.txt", "license.md", "dataset_infos.json",
	"dataset_info.json", "dataset_dict.json", "state.json"}

// splits are words of file names that say what the rows are for, as in train-00000-of-00002.jsonl.
var splits = regexp.MustCompile(`(?i)(?:^|[-_. ])(train|training|validation|valid|val|dev|test|eval)(?:[-_. ]|$)`)

// Files are the files that a path of rows names, in the order of their names: itself, those that a pattern such as
// rows/*.jsonl matches, or those of a folder. Of a folder, or its only folder named data, whose names tell splits,
// these are the files to train on; a pattern asks for others.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil && strings.ContainsAny(path, "*?["):
		all, err := filepath.Glob(path)
		if err != nil || len(all) == 0 {
			return nil, fmt.Errorf("data: %s: want a pattern that files match, got none", path)
		}
		return all, nil
	case err != nil || !info.IsDir():
		return []string{path}, nil // whoever opens it says what is wrong
	}
	return filesOfFolder(path, true)
}

func filesOfFolder(path string, deeper bool) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	var all, other, folders []string
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		ending := filepath.Ext(unpackedName(name))
		switch {
		case strings.HasPrefix(name, ".") || slices.Contains(describing, name):
		case e.IsDir():
			folders = append(folders, e.Name())
		case slices.Contains([]string{".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet"}, ending):
			all = append(all, filepath.Join(path, e.Name()))
		default:
			other = append(other, e.Name())
		}
	}
	switch {
	case len(other) > 0:
		return nil, fmt.Errorf("data: %s: want a folder of files of rows, got %.60q too; a pattern such as %s says which "+
			"to read", path, other[0], filepath.Join(path, "*.jsonl"))
	case len(all) == 0 && deeper && len(folders) == 1 && folders[0] == "data":
		return filesOfFolder(filepath.Join(path, "data"), false)
	case len(folders) > 0:
		return nil, fmt.Errorf("data: %s: want a folder of files of rows, got the folder %.60q in it; name the one to read",
			path, folders[0])
	case len(all) == 0:
		return nil, fmt.Errorf("data: %s: want a folder of files of rows, got none in it", path)
	}
	return toTrainOn(path, all)
}

// toTrainOn are the files of the split train, if names tell splits.
func toTrainOn(path string, all []string) (chosen []string, err error) {
	told := 0
	for _, file := range all {
		m := splits.FindStringSubmatch(filepath.Base(file))
		if m != nil {
			told++
		}
		if m != nil && strings.HasPrefix(strings.ToLower(m[1]), "train") {
			chosen = append(chosen, file)
		}
	}
	switch {
	case told == 0:
		return all, nil
	case told < len(all):
		return nil, fmt.Errorf("data: %s: want names of files that all tell a split, or none, got %d of %d; a pattern says "+
			"which to read", path, told, len(all))
	case len(chosen) == 0:
		return nil, fmt.Errorf("data: %s: want files whose names tell the split train, got none; a pattern says which to "+
			"read", path)
	}
	return chosen, nil
}
