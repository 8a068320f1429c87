// Package stream opens what rows and texts may come from: a regular file, a pipe, or the
// standard input, and reads it until a context ends. A wait for a pipe's writer, or for what
// it writes next, ends with the context, too.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/agora-ml/agora/internal/regular"
)

// Open opens the file, the pipe or the standard input (/dev/stdin) at path. Links are
// followed. Folders and devices are errors at once.
func Open(ctx context.Context, path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() {
		f, err := regular.Open(path) // whose errors say more
		if err != nil {
			return nil, err
		}
		return file{ctx, f}, nil
	}
	kind := info.Mode().Type()
	switch input, err := os.Stdin.Stat(); {
	case err == nil && !kind.IsDir() && os.SameFile(info,
		input): // a socket cannot be opened again, and a terminal need not
		return newPipe(ctx, func() (io.ReadCloser, error) { return io.NopCloser(os.Stdin), nil }), nil
	case kind&fs.ModeNamedPipe != 0:
		return newPipe(ctx, func() (io.ReadCloser, error) { return os.Open(path) }), nil
	}
	return nil, &fs.PathError{Op: "open", Path: path,
		Err: fmt.Errorf("want a file or a pipe, got %s", regular.Kind(info.Mode()))}
}

// Read reads the whole of what Open opens, of at most so many bytes.
func Read(ctx context.Context, path string, most int) ([]byte, error) {
	r, err := Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if f, ok := r.(file); ok {
		if info, err := f.Stat(); err == nil && info.Size() > int64(most) {
			return nil, &fs.PathError{Op: "read", Path: path,
				Err: fmt.Errorf("want at most %d bytes, got %d", most, info.Size())}
		}
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(text) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("want at most %d bytes, got more", most)}
	}
	return text, err
}

// file is a regular file.
type file struct {
	ctx context.Context
	*os.File
}

func (f file) Read(b []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.Read(b)
}

// WriteTo hides that of os.File, which does not look at the context.
func (f file) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{f}) }

// pipe is read by a goroutine of its own: neither its opening nor a read can be called off.
type pipe struct {
	ctx  context.Context
	end  context.CancelFunc
	full chan part // what was read
	rest []byte    // of the last part
	err  error     // the first
}

// part is what one read has given.
type part struct {
	data []byte
	err  error
}

// partBytes is what is read at a time: what a pipe of Linux holds.
const partBytes = 64 << 10

func newPipe(ctx context.Context, open func() (io.ReadCloser, error)) *pipe {
	p := &pipe{full: make(chan part, 1)}
	p.ctx, p.end = context.WithCancel(ctx)
	go func() {
		f, err := open()
		if err != nil {
			p.put(part{err: err})
			return
		}
		defer f.Close()
		stop := context.AfterFunc(p.ctx, func() { _ = f.Close() }) // ends a read of a pipe that waits
		defer stop()
		for err == nil {
			b := make([]byte, partBytes)
			var n int
			n, err = f.Read(b)
			if !p.put(part{b[:n], err}) {
				return
			}
		}
	}()
	return p
}

// put hands a part to the reader, and reports whether there is one still.
func (p *pipe) put(x part) bool {
	select {
	case p.full <- x:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *pipe) Read(b []byte) (int, error) {
	for len(p.rest) == 0 && p.err == nil {
		select {
		case x := <-p.full:
			p.rest, p.err = x.data, x.err
		case <-p.ctx.Done():
			p.err = p.ctx.Err()
		}
	}
	if len(p.rest) > 0 {
		n := copy(b, p.rest)
		p.rest = p.rest[n:]
		return n, nil
	}
	return 0, p.err
}

// Close ends the goroutine, as soon as what it waits for lets it go.
func (p *pipe) Close() error {
	if p.err == nil {
		p.err = errors.New("stream: read after Close")
	}
	p.end()
	return nil
}
