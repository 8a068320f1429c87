// Command doctest runs what the documents tell their readers to type: every command in
// a block
//
//	```sh
//	agora doctor
//	```
//
// one by one, in the order of the file, in a fresh copy of the repository in which setup.sh has put
// agora on the PATH and made a small model and data. A command that fails is reported with its
// file, line and output. In a block of language console, the command behind "$ " may fail, and must
// print the lines that follow it there ("…" stands for anything). A YAML block whose first line is
// a comment with a name, such as "# run.yaml", is written to that file, as the reader is asked to
// do. A command that .ci/run runs as it stands is not run a second time.
//
//	go run ./internal/doctest README.md docs/*.md
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed setup.sh
var setup string

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "doctest:", err)
		os.Exit(1)
	}
}

func run(files []string) error {
	steps, err := os.ReadFile(".ci/run")
	if err != nil {
		return fmt.Errorf("want to start in the repository's root: %w", err)
	}
	var documents []document
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		d, err := parse(file, string(text))
		if err != nil {
			return err
		}
		documents = append(documents, d)
	}
	base, err := os.MkdirTemp("", "agora-docs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	w := workplace{bin: filepath.Join(base, "bin"), dir: filepath.Join(base, "agora")}
	if err := copyRepository(w.dir); err != nil {
		return err
	}
	if out, err := w.bash("set -euo pipefail\n" + setup); err != nil {
		return fmt.Errorf("setup.sh: %w\n%s", err, out)
	}
	count := 0
	for _, d := range documents {
		here := workplace{bin: w.bin, dir: filepath.Join(base, strings.ReplaceAll(d.file, "/", "-"), "agora")}
		if err := os.CopyFS(here.dir, os.DirFS(w.dir)); err != nil {
			return err
		}
		n, err := d.run(here, string(steps))
		if count += n; err != nil {
			return err
		}
	}
	fmt.Printf("%d commands of %d documents\n", count, len(documents))
	return nil
}

// run runs the document's steps in their order, and counts the commands.
func (d document) run(w workplace, ci string) (commands int, err error) {
	for _, s := range d.steps {
		if s.file != "" {
			if err := os.WriteFile(filepath.Join(w.dir, s.file), []byte(s.text), 0o666); err != nil {
				return commands, fmt.Errorf("%s:%d: %w", d.file, s.line, err)
			}
			continue
		}
		if hasLine(ci, command(s.text)) {
			fmt.Printf("%s:%d: %s: a step of .ci/run\n", d.file, s.line, s.text)
			continue
		}
		start := time.Now()
		out, err := w.bash(s.text)
		if err != nil && s.shown == nil {
			return commands, fmt.Errorf("%s:%d: %s\n%s%w", d.file, s.line, s.text, out, err)
		}
		if line := s.missing(out); line != "" {
			return commands, fmt.Errorf("%s:%d: %s\n%swant this line, too: %s", d.file, s.line, s.text, out, line)
		}
		commands++
		fmt.Printf("%s:%d: %s (%.1fs)\n", d.file, s.line, s.text, time.Since(start).Seconds())
	}
	return commands, nil
}

// command is the text without a comment behind it.
func command(text string) string {
	text, _, _ = strings.Cut(text, " #")
	return strings.TrimSpace(text)
}

func hasLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSpace(l) == line {
			return true
		}
	}
	return false
}

// workplace is where commands run.
type workplace struct {
	dir string
	bin string // of go install, first in the PATH
}

// bash runs a script and returns what it prints.
func (w workplace) bash(script string) (output string, err error) {
	c := exec.Command("bash", "-c", script)
	c.Dir = w.dir
	// -trimpath: the copies share what is compiled.
	c.Env = append(os.Environ(), "GOFLAGS=-trimpath", "GOBIN="+w.bin,
		"PATH="+w.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err = c.Run()
	return b.String(), err
}

// copyRepository copies the files that Git knows, as a clone would have them.
func copyRepository(to string) error {
	list, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		b, err := os.ReadFile(name)
		if os.IsNotExist(err) { // deleted, and not committed yet
			continue
		}
		if err != nil {
			return err
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
