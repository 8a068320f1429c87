package data

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// split is files of a folder that are for one thing, which its name says.
type split struct {
	name  string // train, validation_matched; "": none
	files []string
}

// kinds are the splits that words in names tell, as Hugging Face's datasets know them.
var kinds = map[string]string{"train": "train", "training": "train", "validation": "validation", "valid": "validation",
	"val": "validation", "dev": "validation", "test": "test", "eval": "test"}

// words are those of kinds in names, as in train-00000-of-00002.jsonl.
var words = regexp.MustCompile(`(?i)(?:^|[-_. ])(train|training|validation|valid|val|dev|test|eval)(?:[-_. ]|$)`)

// shards are names of files that are a split in pieces, whose name stands first.
var shards = regexp.MustCompile(`^(.+)-\d{5}-of-\d{5}\.`)

// splitKind is the split that a name tells: train, validation or test; "": none.
func splitKind(name string) string {
	if m := words.FindStringSubmatch(name); m != nil {
		return kinds[strings.ToLower(m[1])]
	}
	return ""
}

// splitOf is the name of the split that a file's name tells; "": none.
func splitOf(file string) string {
	name := filepath.Base(file)
	kind := splitKind(name)
	if m := shards.FindStringSubmatch(name); m != nil && kind != "" {
		return m[1]
	}
	return kind
}

// splitsOf puts files whose names tell one split together, in the order of the first of each.
func splitsOf(files []string) (all []split) {
	for _, file := range files {
		name := splitOf(file)
		i := slices.IndexFunc(all, func(s split) bool { return s.name == name })
		if i < 0 {
			i = len(all)
			all = append(all, split{name: name})
		}
		all[i].files = append(all[i].files, file)
	}
	return all
}

// choose are the splits that are asked for: the one of that name, or else, where it is a usual word, all that tell
// the same.
func choose(all []split, asked string) (chosen []split) {
	if i := slices.IndexFunc(all, func(s split) bool { return s.name == asked }); i >= 0 {
		return all[i : i+1]
	}
	kind := kinds[strings.ToLower(asked)]
	for _, s := range all {
		if kind != "" && splitKind(s.name) == kind {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// listing is what a path names.
type listing struct {
	files   []string // to train on
	heldOut []string // of the split that was asked for
	others  []string // of other splits, and of other configurations
	splits  []string // names of all there are
}

// divide tells the splits of a folder apart. There may be none to train on, and none to hold out.
func divide(all []split, heldOut string) (l listing, err error) {
	train, err := chooseOne(all, "train", "to train on")
	if err != nil {
		return l, err
	}
	held, err := chooseOne(all, heldOut, "to hold out")
	switch {
	case err != nil:
		return l, err
	case held != "" && held == train:
		return l, fmt.Errorf("want another split to hold out than that to train on, got %s twice", held)
	}
	for _, s := range all {
		l.splits = append(l.splits, s.name)
		switch {
		case s.name == train && train != "":
			l.files = append(l.files, s.files...)
		case s.name == held && held != "":
			l.heldOut = append(l.heldOut, s.files...)
		default:
			l.others = append(l.others, s.files...)
		}
	}
	return l, nil
}

// chooseOne is the name of the split that is asked for; "": there is none.
func chooseOne(all []split, asked, use string) (string, error) {
	chosen := choose(all, asked)
	switch len(chosen) {
	case 0:
		return "", nil
	case 1:
		return chosen[0].name, nil
	}
	var names []string
	for _, s := range chosen {
		names = append(names, s.name)
	}
	example := ""
	if first := chosen[0]; len(first.files) > 0 {
		example = fmt.Sprintf(" such as %s", filepath.Join(filepath.Dir(first.files[0]), first.name+"*"))
	}
	return "", fmt.Errorf("want one split %s, got %s; a pattern%s says which to read", use, strings.Join(names, ", "),
		example)
}

// filesAsNamed divides files that were named as they are: only those of the split to hold out are not trained on.
func filesAsNamed(files []string, heldOut string) (l listing) {
	for _, s := range splitsOf(files) {
		l.splits = append(l.splits, s.name)
		if heldOut != "" && len(choose([]split{s}, heldOut)) > 0 {
			l.heldOut = append(l.heldOut, s.files...)
		}
	}
	for _, file := range files { // in their order
		if !slices.Contains(l.heldOut, file) {
			l.files = append(l.files, file)
		}
	}
	return l
}
