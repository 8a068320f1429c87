package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// input is the content of a file that a run reads, wherever the file lies: a run goes on
// with other paths, or on another machine, if it finds the same there.
type input struct {
	Setting string `json:"setting"`          // that names the file, or the folder around it
	Name    string `json:"name,omitempty"`   // in the folder
	Size    int64  `json:"size"`             // in bytes; -1: a pipe, of which only the sequences tell
	SHA256  string `json:"sha256,omitempty"` // of what digest reads of it

	path string
}

// generationFile is read for what ends a text, by llama.ReadConfig and the tokenizer.
const generationFile = "generation_config.json"

// readInputs finds the files that a run reads, and hashes them.
func (c *Config) readInputs(ctx context.Context) (all []input, err error) {
	err = beforehand(ctx, func() error {
		if all, err = c.findInputs(); err != nil {
			return err
		}
		for i := range all {
			if err := all[i].digest(ctx); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					err = fmt.Errorf("%w (--%s names another place)", err, all[i].Setting)
				}
				return c.wrong(all[i].Setting, err)
			}
		}
		return nil
	})
	return all, err
}

// findInputs names the files that a run reads.
func (c *Config) findInputs() ([]input, error) {
	var all []input
	add := func(setting, dir, name string) {
		all = append(all, input{Setting: setting, Name: name, path: filepath.Join(dir, name)})
	}
	switch {
	case c.FromScratch != "":
		add("from-scratch", c.FromScratch, "")
	case isFolder(c.Model):
		add("model", c.Model, llama.ConfigFile)
		if regular.Exists(filepath.Join(c.Model, generationFile)) {
			add("model", c.Model, generationFile)
		}
		weights, err := safetensors.OpenModel(c.Model)
		if err != nil {
			return nil, c.wrong("model", err)
		}
		for _, path := range weights.Files() {
			add("model", c.Model, filepath.Base(path))
		}
		if err := weights.Close(); err != nil {
			return nil, err
		}
	default:
		add("model", c.Model, "")
	}
	adapter := func(setting, path string) {
		if !isFolder(path) {
			add(setting, path, "")
			return
		}
		for _, name := range multilora.FilesIn(path) {
			add(setting, path, name)
		}
	}
	if c.FromAdapter != "" {
		adapter("from-adapter", c.FromAdapter)
	}
	for _, path := range c.Branches {
		adapter("branches", path)
	}
	if from := c.tokenizerPath(); isFolder(from) {
		for _, name := range tokenizerFiles(from) {
			add("tokenizer", from, name)
		}
	} else {
		add("tokenizer", from, "")
	}
	for _, p := range c.Data {
		files, err := p.files(c.HeldOutSplit)
		if err != nil {
			return nil, c.wrong("data", err)
		}
		for _, path := range files {
			add("data", path, "")
		}
	}
	scored, err := c.taskFiles()
	if err != nil {
		return nil, err
	}
	for _, path := range scored {
		add("task-data", path, "")
	}
	return all, nil
}

// tokenizerFiles are the files of a folder that say which ids a text becomes.
func tokenizerFiles(dir string) (list []string) {
	for _, name := range []string{tokenizer.JSONFile, tokenizer.ModelFile, tokenizer.ConfigFile,
		tokenizer.SpecialTokensFile, tokenizer.AddedTokensFile, chat.JinjaFile} {
		unread := name == tokenizer.ModelFile && slices.Contains(list, tokenizer.JSONFile)
		if regular.Exists(filepath.Join(dir, name)) && !unread {
			list = append(list, name)
		}
	}
	return list
}

func isFolder(path string) bool {
	info, err := regular.Stat(path)
	return err == nil && info.IsDir()
}

// Of a file of weights larger than wholeWeights, its head is hashed, where the tensors'
// names and shapes stand, and blocks evenly over all the rest: some of every matrix.
const (
	wholeWeights = 64 << 20
	weightsHead  = 16 << 20
	weightBlocks = 256
	weightBlock  = 64 << 10
)

// digest takes size and hash of the file: of all of it, unless it holds many weights.
func (in *input) digest(ctx context.Context) error {
	if in.Setting == "data" { // may be a pipe, which has been read
		if info, err := os.Stat(in.path); err == nil && !info.Mode().IsRegular() {
			in.Size = -1
			return nil
		}
	}
	f, err := regular.Open(in.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	in.Size = info.Size()
	h := sha256.New()
	weights := in.Setting == "model" || in.Setting == "tokenizer" && in.Name == ""
	if !weights || in.Size <= wholeWeights {
		_, err = io.Copy(h, until{ctx, f})
	} else {
		err = hashSome(h, f, in.Size)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", in.path, err)
	}
	in.SHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}

// hashSome hashes the head of a file and blocks of it, the last one at its end.
func hashSome(h io.Writer, f io.ReaderAt, size int64) error {
	_, err := io.Copy(h, io.NewSectionReader(f, 0, weightsHead))
	for i := range int64(weightBlocks) {
		if err != nil {
			return err
		}
		at := weightsHead + (size-weightBlock-weightsHead)*i/(weightBlocks-1)
		_, err = io.Copy(h, io.NewSectionReader(f, at, weightBlock))
	}
	return err
}

// sameInputs tells j of every file that is not what a run began with.
func (c *Config) sameInputs(old, now []input, j *judge) error {
	for _, s := range c.Settings() {
		if s.Resume != Movable {
			continue
		}
		setting := s.Name
		of := func(all []input) []input {
			return slices.DeleteFunc(slices.Clone(all), func(in input) bool { return in.Setting != setting })
		}
		want, got := of(old), of(now)
		if old := names(want); slices.Contains(old, llama.ConfigFile) && !slices.Contains(old, generationFile) {
			// older checkpoints do not know it: the sequences tell
			got = slices.DeleteFunc(got, func(in input) bool { return in.Name == generationFile })
		}
		if setting == "data" && len(want) != len(got) {
			err := c.wrongf("data", "want the run's %d files in their order, got %d", len(want), len(got))
			if err := j.differs(err, "data", fmt.Sprintf("%d files", len(want)), fmt.Sprint(len(got))); err != nil {
				return err
			}
			continue
		}
		if a, b := names(want), names(got); !slices.Equal(a, b) {
			err := c.wrongf(setting, "want what the run began with, %s, got %s", oneOrAll(a), oneOrAll(b))
			if err := j.differs(err, setting, oneOrAll(a), oneOrAll(b)); err != nil {
				return err
			}
			continue
		}
		for i, in := range got {
			w, g := "", ""
			switch old := want[i]; {
			case old.Size < 0 || in.Size < 0:
			case old.Size != in.Size:
				w, g = fmt.Sprintf("%d bytes", old.Size), fmt.Sprint(in.Size)
			case old.SHA256 != in.SHA256:
				w, g = fmt.Sprintf("the SHA-256 %.16s…", old.SHA256),
					fmt.Sprintf("%.16s… (%d bytes both)", in.SHA256, in.Size)
			}
			if w == "" {
				continue
			}
			err := c.wrongf(setting, "%s is not the file that the run began with: want %s, got %s", in.path, w, g)
			if err := j.differs(err, setting+" "+filepath.Base(in.path), w, g); err != nil {
				return err
			}
		}
	}
	return nil
}

func names(all []input) (list []string) {
	for _, in := range all {
		list = append(list, in.Name)
	}
	return list
}

// oneOrAll says what a setting names: a file, or a folder with files.
func oneOrAll(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	if names[0] == "" {
		return "a file"
	}
	return fmt.Sprintf("a folder with %q", names)
}
