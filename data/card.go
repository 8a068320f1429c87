package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	slashed "path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/yamlfile"
)

// cardFile is the file that says what a data set of Hugging Face is. Its head, between lines of three dashes, is
// YAML, and may name configurations and the files of their splits
// (https://huggingface.co/docs/hub/datasets-manual-configuration).
const cardFile = "README.md"

// maxCard bounds the bytes of a README.md.
const maxCard = 4 << 20

// cardConfig is one of the configurations of a data set.
type cardConfig struct {
	Name      string    `yaml:"config_name"`
	Default   bool      `yaml:"default"`
	DataDir   string    `yaml:"data_dir"`
	DataFiles cardFiles `yaml:"data_files"`
}

// cardFiles are patterns of files, by splits.
type cardFiles []cardSplit

type cardSplit struct {
	Split string    `yaml:"split"`
	Path  cardPaths `yaml:"path"`
}

// cardPaths are one pattern or several.
type cardPaths []string

// UnmarshalYAML reads a pattern or a list of them.
func (p *cardPaths) UnmarshalYAML(text []byte) error {
	var one string
	if yaml.Unmarshal(text, &one) == nil {
		*p = cardPaths{one}
		return nil
	}
	var list []string
	if yaml.Unmarshal(text, &list) != nil {
		return fmt.Errorf("want a path, or a list of paths, got %.60q", text)
	}
	*p = list
	return nil
}

// UnmarshalYAML reads patterns, which are of the split train, or a list of splits with patterns for each.
func (f *cardFiles) UnmarshalYAML(text []byte) error {
	var splits []cardSplit
	nameless := func(s cardSplit) bool { return s.Split == "" }
	if yaml.Unmarshal(text, &splits) == nil && !slices.ContainsFunc(splits, nameless) {
		*f = splits
		return nil
	}
	var paths cardPaths
	if err := paths.UnmarshalYAML(text); err != nil {
		return fmt.Errorf("want a path, a list of paths, or a list of {split, path}, got %.60q", text)
	}
	*f = cardFiles{{"train", paths}}
	return nil
}

// readCard reads the configurations that a folder's README.md names; none if it has none.
func readCard(path string) ([]cardConfig, error) {
	text, err := regular.Read(filepath.Join(path, cardFile), maxCard)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok { // the caller names the file
		return nil, e.Err
	}
	if err != nil {
		return nil, err
	}
	plain := strings.ReplaceAll(strings.TrimPrefix(string(text), byteOrderMark), "\r\n", "\n")
	head, begins := strings.CutPrefix(plain, "---\n")
	head, _, ends := strings.Cut(head, "\n---")
	if !begins || !ends || !strings.HasPrefix(head, "configs:") && !strings.Contains(head, "\nconfigs:") {
		return nil, nil
	}
	tokens, err := yamlfile.Tokens([]byte(head))
	if err != nil {
		return nil, fmt.Errorf("line %w", err)
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil || len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, fmt.Errorf("want YAML between its first lines of three dashes, got: %v", err)
	}
	for _, kind := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} { // they could multiply
		if len(ast.Filter(kind, file.Docs[0].Body)) > 0 {
			return nil, errors.New("want plain values in its YAML, got one that stands for another")
		}
	}
	var card struct {
		Configs []cardConfig `yaml:"configs"`
	}
	if err := yaml.NodeToValue(file.Docs[0].Body, &card); err != nil {
		return nil, fmt.Errorf("want configs as Hugging Face's data sets have them, got: %w", err)
	}
	return card.Configs, nil
}

// filesOfCard are the files of the split train of the configuration that is the default, and of the one to hold out.
func filesOfCard(path, heldOut string, configs []cardConfig) (l listing, err error) {
	chosen, err := chooseConfig(configs)
	if err != nil {
		return l, fmt.Errorf("%w; a pattern such as %s says which files to read", err,
			filepath.Join(path, "data", "train-*"))
	}
	if len(chosen.DataFiles) == 0 {
		if !filepath.IsLocal(filepath.Join(".", chosen.DataDir)) {
			return l, fmt.Errorf("data_dir: want a folder within it, got %.60q", chosen.DataDir)
		}
		return filesOfFolder(filepath.Join(path, chosen.DataDir), heldOut, true)
	}
	train, err := trainSplit(chosen.DataFiles)
	if err != nil {
		return l, err
	}
	var splits []split
	for _, s := range chosen.DataFiles {
		splits = append(splits, split{name: s.Split})
		l.splits = append(l.splits, s.Split)
	}
	held, err := chooseOne(splits, heldOut, "to hold out")
	if err != nil {
		return l, err
	}
	all, err := below(path)
	if err != nil {
		return l, err
	}
	uses := make([]use, len(all))
	for _, c := range configs {
		for _, s := range c.DataFiles {
			u := use{other: true}
			if c.Name == chosen.Name {
				u = use{train: s.Split == train, held: held != "" && s.Split == held, other: s.Split != train && s.Split != held}
			}
			for _, pattern := range s.Path {
				if err := matching(all, c.DataDir, pattern, func(i int) { uses[i].add(u) }); err != nil {
					return l, err
				}
			}
		}
	}
	for i, name := range all { // in the order of names
		file := filepath.Join(path, filepath.FromSlash(name))
		switch u := uses[i]; {
		case (u.train || u.held) && !holdsRows(name):
			of := train
			if u.held {
				of = held
			}
			return l, fmt.Errorf("want files of rows for the split %s, got %.60q", of, name)
		case u.train && u.held:
			return l, fmt.Errorf("want other files to hold out than those to train on, got %.60q for both", name)
		case u.train:
			l.files = append(l.files, file)
		case u.held:
			l.heldOut = append(l.heldOut, file)
		case u.other:
			l.others = append(l.others, file)
		}
	}
	if len(l.files) == 0 {
		return l, fmt.Errorf("want files for the split %s of %q, got none that its patterns match", train, chosen.Name)
	}
	return l, nil
}

// use is what patterns of a README.md want of a file.
type use struct{ train, held, other bool }

func (u *use) add(v use) {
	u.train, u.held, u.other = u.train || v.train, u.held || v.held, u.other || v.other
}

// chooseConfig is the configuration that is the default.
func chooseConfig(configs []cardConfig) (c cardConfig, err error) {
	var names []string
	for _, c := range configs {
		if names = append(names, fmt.Sprintf("%.40q", c.Name)); c.Default || len(configs) == 1 {
			return c, nil
		}
	}
	if i := slices.IndexFunc(configs, func(c cardConfig) bool { return c.Name == "default" }); i >= 0 {
		return configs[i], nil
	}
	return c, fmt.Errorf("want one configuration, or one that is the default, got %s", strings.Join(names, ", "))
}

// trainSplit is the name of the split to train on: train, or the only one that begins so.
func trainSplit(files cardFiles) (string, error) {
	var all, train []string
	for _, s := range files {
		if s.Split == "train" {
			return s.Split, nil
		}
		if all = append(all, s.Split); strings.HasPrefix(s.Split, "train") {
			train = append(train, s.Split)
		}
	}
	if len(train) != 1 {
		return "", fmt.Errorf("want one split to train on, got %s; a pattern says which files to read",
			strings.Join(all, ", "))
	}
	return train[0], nil
}

// mostFiles bounds the files of a folder that are looked at.
const mostFiles = 1 << 16

// below are the files in a folder and those in it, as paths with slashes, in order.
func below(path string) (all []string, err error) {
	err = fs.WalkDir(os.DirFS(path), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(e.Name(), "."):
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir():
			if all = append(all, name); len(all) > mostFiles {
				return fmt.Errorf("want at most %d files in the folder, got more", mostFiles)
			}
		}
		return nil
	})
	slices.Sort(all)
	return all, err
}

// matching tells note of the files that a pattern matches, ** any folders, or that lie in the folder it names.
func matching(all []string, dir, pattern string, note func(i int)) error {
	if strings.Contains(pattern, "://") || !filepath.IsLocal(filepath.FromSlash(slashed.Join(dir, pattern))) {
		return fmt.Errorf("want paths within the folder, got %.60q", pattern)
	}
	whole := strings.Split(slashed.Join(dir, pattern), "/")
	if _, err := slashed.Match(pattern, ""); err != nil {
		return fmt.Errorf("want a pattern of files, got %.60q", pattern)
	}
	for i, name := range all {
		if parts := strings.Split(name, "/"); matches(whole, parts) || matches(append(whole[:len(whole):len(whole)], "**"),
			parts) {
			note(i)
		}
	}
	return nil
}

// matches reports whether the parts of a path match those of a pattern. Each ** matches any number of folders; it is
// found from the left, which is linear for each and enough where only what stands between must follow.
func matches(pattern, parts []string) bool {
	backTo, from := -1, 0 // behind the last **, and what it has taken so far
	p, i := 0, 0
	for i < len(parts) {
		if p < len(pattern) && pattern[p] == "**" {
			p++
			backTo, from = p, i
			continue
		}
		if p < len(pattern) {
			if ok, _ := slashed.Match(pattern[p], parts[i]); ok {
				p, i = p+1, i+1
				continue
			}
		}
		if backTo < 0 {
			return false
		}
		from++
		p, i = backTo, from
	}
	for p < len(pattern) && pattern[p] == "**" {
		p++
	}
	return p == len(pattern)
}
