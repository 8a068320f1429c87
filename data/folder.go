package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// describing are files of a folder of rows that say what it is, and hold none.
var describing = []string{"readme.md", "license", "license.txt", "license.md", "dataset_infos.json",
	"dataset_info.json", "dataset_dict.json", "state.json"}

// filesOfFolder tells files and splits by names alone. With deeper they may be in a folder data.
func filesOfFolder(path, heldOut string, deeper bool) (listing, error) {
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
	unsplit := slices.IndexFunc(folders, func(name string) bool { return splitKind(name) == "" })
	switch {
	case len(other) > 0:
		return listing{}, fmt.Errorf("data: %s: want a folder of files of rows, got %.60q too; a pattern such as %s says "+
			"which to read", path, other[0], filepath.Join(path, "*.jsonl"))
	case len(all) == 0 && deeper && len(folders) == 1 && folders[0] == "data":
		return filesOfFolder(filepath.Join(path, "data"), heldOut, false)
	case len(folders) > 0 && (len(all) > 0 || unsplit >= 0):
		return listing{}, fmt.Errorf("data: %s: want a folder of files of rows, got the folder %.60q in it; name the one "+
			"to read", path, folders[max(unsplit, 0)])
	case len(folders) > 0:
		return filesOfSplitFolders(path, heldOut, folders)
	case len(all) == 0:
		return listing{}, fmt.Errorf("data: %s: want a folder of files of rows, got none in it", path)
	}
	return filesOfSplits(path, heldOut, all)
}

// filesOfSplitFolders reads folders whose names tell splits; several may be of train.
func filesOfSplitFolders(path, heldOut string, folders []string) (l listing, err error) {
	var all []split
	for _, name := range folders {
		s := split{name, []string{filepath.Join(path, name)}}
		if splitKind(name) == "train" && name != heldOut {
			s.name = "train"
		}
		if i := slices.IndexFunc(all, func(t split) bool { return t.name == s.name }); i >= 0 {
			all[i].files = append(all[i].files, s.files...)
			continue
		}
		all = append(all, s)
	}
	if l, err = divide(all, heldOut); err != nil {
		return l, fmt.Errorf("data: %s: %w", path, err)
	}
	if len(l.files) == 0 {
		return l, fmt.Errorf("data: %s: want files of rows in a folder whose name tells the split train, got none; "+
			"name the folder to read", path)
	}
	if l.files, err = filesBelow(l.files); err == nil {
		l.heldOut, err = filesBelow(l.heldOut)
	}
	if err != nil {
		return l, fmt.Errorf("data: %s: %w", path, err)
	}
	return l, nil
}

// filesBelow are the files in folders of one split, which hold rows.
func filesBelow(folders []string) (files []string, err error) {
	for _, path := range folders {
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
	}
	return files, nil
}

// filesOfSplits tells the files of the split train, if names tell splits.
func filesOfSplits(path, heldOut string, all []string) (l listing, err error) {
	told := 0
	for _, file := range all {
		if splitOf(file) != "" {
			told++
		}
	}
	switch {
	case told == 0:
		return listing{files: all}, nil
	case told < len(all):
		return l, fmt.Errorf("data: %s: want names of files that all tell a split, or none, got %d of %d; a pattern says "+
			"which to read", path, told, len(all))
	}
	if l, err = divide(splitsOf(all), heldOut); err == nil && len(l.files) == 0 {
		err = errors.New("want files whose names tell the split train, got none; a pattern says which to read")
	}
	if err != nil {
		return l, fmt.Errorf("data: %s: %w", path, err)
	}
	slices.Sort(l.others)
	return l, nil
}
