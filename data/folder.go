package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/regular"
)

// describing are files of a folder of rows that say what it is, and hold none.
var describing = []string{"readme.md", "license", "license.txt", "license.md", "dataset_infos.json",
	"dataset_info.json", "dataset_dict.json", "state.json"}

// splits are words of names that say what rows are for, as in train-00000-of-00002.jsonl.
var splits = regexp.MustCompile(`(?i)(?:^|[-_. ])(train|training|validation|valid|val|dev|test|eval)(?:[-_. ]|$)`)

// shards are names of files that are a split in pieces, whose name stands first.
var shards = regexp.MustCompile(`^(.+)-\d{5}-of-\d{5}\.`)

// splitOf is the split that a name tells; "": none.
func splitOf(name string) string {
	m := splits.FindStringSubmatch(name)
	switch {
	case m == nil:
		return ""
	case strings.HasPrefix(strings.ToLower(m[1]), "train"):
		return "train"
	}
	return strings.ToLower(m[1])
}

// filesOfFolder tells files and splits by names alone. With deeper they may be in a folder data.
func filesOfFolder(path string, deeper bool) (listing, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return listing{}, fmt.Errorf("data: %w", err)
	}
	var all, other, folders []string
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		switch {
		case strings.HasPrefix(name, ".") || slices.Contains(describing, name):
		case e.IsDir():
			folders = append(folders, e.Name())
		case holdsRows(name):
			all = append(all, filepath.Join(path, e.Name()))
		default:
			other = append(other, e.Name())
		}
	}
	unsplit := slices.IndexFunc(folders, func(name string) bool { return splitOf(name) == "" })
	switch {
	case len(other) > 0 && isArrow(other[0]):
		return listing{}, fmt.Errorf("data: %s: %w", filepath.Join(path, other[0]), errArrow)
	case len(other) > 0:
		return listing{}, fmt.Errorf("data: %s: want a folder of files of rows, got %.60q too; a pattern such as %s says "+
			"which to read", path, other[0], filepath.Join(path, "*.jsonl"))
	case len(all) == 0 && deeper && len(folders) == 1 && folders[0] == "data":
		return filesOfFolder(filepath.Join(path, "data"), false)
	case len(folders) > 0 && (len(all) > 0 || unsplit >= 0):
		return listing{}, fmt.Errorf("data: %s: want a folder of files of rows, got the folder %.60q in it; name the one "+
			"to read", path, folders[max(unsplit, 0)])
	case len(folders) > 0:
		return filesOfSplitFolders(path, folders)
	case len(all) == 0:
		return listing{}, fmt.Errorf("data: %s: want a folder of files of rows, got none in it", path)
	}
	return toTrainOn(path, all)
}

// filesOfSplitFolders reads folders whose names tell splits.
func filesOfSplitFolders(path string, folders []string) (l listing, err error) {
	for _, name := range folders {
		if splitOf(name) != "train" {
			l.others = append(l.others, filepath.Join(path, name))
			continue
		}
		files, err := filesBelow(filepath.Join(path, name))
		if err != nil {
			return listing{}, fmt.Errorf("data: %s: %w", path, err)
		}
		l.files = append(l.files, files...)
	}
	if len(l.files) == 0 {
		return listing{}, fmt.Errorf("data: %s: want files of rows in a folder whose name tells the split train, got none; "+
			"name the folder to read", path)
	}
	return l, nil
}

// filesBelow are the files in a folder of one split, which hold rows.
func filesBelow(path string) (files []string, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		switch name := strings.ToLower(e.Name()); {
		case strings.HasPrefix(name, ".") || slices.Contains(describing, name):
		case e.IsDir() || !holdsRows(name):
			return nil, fmt.Errorf("want a folder of files of rows, got %.60q too", filepath.Join(filepath.Base(path),
				e.Name()))
		default:
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files, nil
}

// toTrainOn tells the files of the split train, if names tell splits.
func toTrainOn(path string, all []string) (l listing, err error) {
	told := 0
	var pieces []string // what the splits are called whose pieces these are
	for _, file := range all {
		name := filepath.Base(file)
		split := splitOf(name)
		if split != "" {
			told++
		}
		if split != "train" {
			l.others = append(l.others, file)
			continue
		}
		l.files = append(l.files, file)
		if m := shards.FindStringSubmatch(name); m != nil && !slices.Contains(pieces, m[1]) {
			pieces = append(pieces, m[1])
		}
	}
	switch {
	case told == 0:
		return listing{files: all}, nil
	case told < len(all):
		return listing{}, fmt.Errorf("data: %s: want names of files that all tell a split, or none, got %d of %d; a pattern "+
			"says which to read", path, told, len(all))
	case len(l.files) == 0:
		return listing{}, fmt.Errorf("data: %s: want files whose names tell the split train, got none; a pattern says which "+
			"to read", path)
	case len(pieces) > 1:
		return listing{}, fmt.Errorf("data: %s: want one split to train on, got %s; a pattern such as %s says which to read",
			path, strings.Join(pieces, ", "), filepath.Join(filepath.Dir(l.files[0]), pieces[0]+"-*"))
	}
	return l, nil
}

// errArrow is of rows in a form of their own, which save_to_disk writes.
var errArrow = errors.New(`want files of rows, got Arrow's, as save_to_disk writes them: in Python, ` +
	`datasets.load_from_disk(FOLDER), or of several splits its ["train"], has to_parquet("train.parquet") and ` +
	`to_json("train.jsonl")`)

func isArrow(path string) bool { return strings.EqualFold(filepath.Ext(path), ".arrow") }

// notSavedToDisk is errArrow for a folder that save_to_disk wrote, of one split or of several.
func notSavedToDisk(path string) error {
	has := func(name string) bool { return regular.Exists(filepath.Join(path, name)) }
	if has("dataset_dict.json") || has("state.json") && has("dataset_info.json") {
		return errArrow
	}
	return nil
}
