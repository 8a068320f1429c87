package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/strictjson"
)

// exampleLine is a line of the file that eval --examples writes.
type exampleLine struct {
	Adapter string `json:"adapter"`
	eval.Result
}

// exampleHead is its first line: what must be the same for a run that goes on.
type exampleHead struct {
	Format string   `json:"format"`
	Model  string   `json:"model"`
	DType  string   `json:"dtype"`
	Shots  int      `json:"shots"`
	Data   []string `json:"data"`
}

const exampleFormat = "agora-eval-examples"

// exampleNotes are the examples measured so far, in a file if one was named.
type exampleNotes struct {
	path  string
	file  *os.File
	known map[[3]string]eval.Result // by adapter, task and id
}

// openExamples begins the file of --examples, or goes on with it.
func openExamples(f *evalFlags, sources []string) (*exampleNotes, error) {
	n := &exampleNotes{path: f.examples, known: map[[3]string]eval.Result{}}
	if f.examples == "" {
		return n, nil
	}
	head := exampleHead{exampleFormat, f.model, f.dtype, f.shots, sources}
	begin, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	if f.resume {
		whole, err := n.read(begin)
		if err != nil {
			return nil, fmt.Errorf("--examples: %w", err)
		}
		if n.file, err = os.OpenFile(f.examples, os.O_WRONLY, 0); err != nil {
			return nil, fmt.Errorf("--examples: %w", err)
		}
		// A last line that was cut is written anew.
		if err = n.file.Truncate(whole); err == nil {
			_, err = n.file.Seek(whole, io.SeekStart)
		}
		return n, err
	}
	out := outFile{flag: "examples", path: f.examples, way: " (or --resume to go on with it)"}
	if err := out.check(sources...); err != nil {
		return nil, err
	}
	if n.file, err = os.OpenFile(f.examples, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); err != nil {
		return nil, fmt.Errorf("--examples: %w", err)
	}
	_, err = n.file.Write(append(begin, '\n'))
	return n, err
}

// read takes in the whole lines of a file, and gives their bytes.
func (n *exampleNotes) read(head []byte) (whole int64, err error) {
	f, err := regular.Open(n.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for number := 1; ; number++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			if number == 1 {
				return 0, fmt.Errorf("%s: want a first line that says what was measured, got none", n.path)
			}
			return whole, nil
		}
		if err != nil {
			return 0, err
		}
		whole += int64(len(line))
		if number == 1 {
			if got := bytes.TrimSpace(line); !bytes.Equal(got, head) {
				return 0, fmt.Errorf("%s: want the examples of this model and these data, %s, got %.500s", n.path,
					head, got)
			}
			continue
		}
		var e exampleLine
		if err := strictjson.Unmarshal(line, &e); err != nil {
			return 0, fmt.Errorf("%s: row %d: %w", n.path, number, err)
		}
		n.known[[3]string{e.Adapter, e.Task, e.ID}] = e.Result
	}
}

func (n *exampleNotes) find(adapter, task, id string) (eval.Result, bool) {
	r, ok := n.known[[3]string{adapter, task, id}]
	return r, ok
}

func (n *exampleNotes) add(adapter string, r eval.Result) error {
	if n.file == nil {
		return nil
	}
	line, err := json.Marshal(exampleLine{adapter, r})
	if err == nil {
		_, err = n.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("--examples: %w", err)
	}
	return nil
}

// close makes what was written durable. It may be called twice.
func (n *exampleNotes) close() error {
	if n.file == nil {
		return nil
	}
	err := errors.Join(n.file.Sync(), n.file.Close())
	n.file = nil
	return err
}
