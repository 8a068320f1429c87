package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/regular"
)

// Names in an experiment's folder.
const (
	basesFolder = "bases"
	runsFolder  = "runs"
	resultFile  = "result.json" // of a base or a run; it is there when that is done
	modelFolder = "model"       // of a base that was made here
)

// store is the folder that bases and runs are kept in. Each has a folder of its own, named by a
// digest of everything that decides its bits: what an experiment has in common with another one,
// or with what it was before a line was added, is not made again.
type store struct{ dir string }

// mostResult bounds the bytes of a result that is read.
const mostResult = 64 << 20

// digest names a specification; the first words are for people.
func digest(spec any, words ...string) string {
	text, err := json.Marshal(spec)
	if err != nil {
		panic(err) // plain fields
	}
	sum := sha256.Sum256(text)
	return slug(strings.Join(words, "-")) + "-" + hex.EncodeToString(sum[:6])
}

// slug keeps of a name what every file system takes.
func slug(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '-':
			return c
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		case c == '×':
			return 'x'
		}
		return '-'
	}, name[:min(len(name), 80)])
}

// load reads the result in a folder; false: it is not made yet.
func load[T any](dir string, into *T) (bool, error) {
	path := filepath.Join(dir, resultFile)
	text, err := regular.Read(path, mostResult)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("%s: %w: remove its folder to have it made again", path, err)
	}
	return true, nil
}

// save writes a folder with a result and whatever more puts beside it, all or nothing.
func save(dir string, result any, more func(dir string) error) error {
	return atomicfile.WriteFolder(dir, func(dir string) error {
		if more != nil {
			if err := more(dir); err != nil {
				return err
			}
		}
		return writeJSON(filepath.Join(dir, resultFile), result)
	})
}

func writeJSON(path string, value any) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		return e.Encode(value)
	})
}
