package tfevents

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Writer writes an event file. Every event is one write to the file, so that TensorBoard
// can follow a run and a crash cuts the last event at most.
type Writer struct {
	file *os.File
	err  error // the first
}

// Suffix ends the names of this package's files: whoever removes one of them knows whose it is.
const Suffix = ".agora"

// Create begins a new file in dir, which it makes if need be. The file's name tells
// TensorBoard what it is and where it belongs in time:
// events.out.tfevents.SECONDS.HOST.PID.NUMBER.agora.
func Create(dir string, start time.Time) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("tfevents: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	host = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '-'
		}
		return r
	}, host)
	for number := 0; ; number++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d"+Suffix, start.Unix(), host, os.Getpid(), number)
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tfevents: %w", err)
		}
		w := &Writer{file: file}
		if err := w.write(Event{WallTime: seconds(start), FileVersion: version}); err != nil {
			file.Close()
			return nil, err
		}
		return w, nil
	}
}

// Name is the path of the file.
func (w *Writer) Name() string { return w.file.Name() }

// Scalars writes values of a step. The wall time is in seconds since 1970.
func (w *Writer) Scalars(wall float64, step int, values ...Scalar) error {
	return w.write(Event{WallTime: wall, Step: int64(step), Scalars: values})
}

// write adds an event. After a failed write the file may end within a record, so
// nothing more is written.
func (w *Writer) write(e Event) error {
	if w.err != nil {
		return w.err
	}
	if _, err := w.file.Write(appendRecord(nil, appendEvent(nil, e))); err != nil {
		w.err = fmt.Errorf("tfevents: %w", err)
	}
	return w.err
}

// Close ends the file; the error is the first of all writes.
func (w *Writer) Close() error {
	if err := w.file.Close(); err != nil && w.err == nil {
		w.err = fmt.Errorf("tfevents: %w", err)
	}
	return w.err
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
