package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// The program's exit codes beside 0; of what has ended a command they are those that shells give:
// a script does not go on with half a run.
const (
	exitError       = 1                          // one the user can act on
	exitInternal    = 2                          // one of ours
	exitHangUp      = 128 + int(syscall.SIGHUP)  // the terminal has gone
	exitInterrupted = 128 + int(syscall.SIGINT)  // Ctrl-C
	exitClosedPipe  = 128 + int(syscall.SIGPIPE) // nobody reads the output any more
	exitTerminated  = 128 + int(syscall.SIGTERM)
)

// ended is why a command has to end before it is done.
type ended struct {
	code int
	text string
}

func (e *ended) Error() string { return e.text }

var (
	endedBy = map[os.Signal]*ended{
		os.Interrupt:    {exitInterrupted, "interrupted"},
		syscall.SIGTERM: {exitTerminated, "terminated"},
		syscall.SIGHUP:  {exitHangUp, "hung up"},
	}
	endedByClosedPipe = &ended{exitClosedPipe, "nobody reads the output any more"}
)

// errInterrupted is what a command returns that was interrupted and has said so.
var errInterrupted = errors.New("interrupted")

// interruptible ends with the first Ctrl-C, SIGTERM or SIGHUP; a second one kills. What whoever
// started the program has it ignore, it ignores: nohup's SIGHUP, a shell's SIGINT in the background.
func interruptible() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	for s := range endedBy {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a write to a closed pipe then fails, and no longer kills
	go func() {
		for s := range signals {
			if chat := chatting.Load(); chat != nil {
				select {
				case *chat <- s:
					continue
				default: // it does not listen any more
				}
			}
			cancel(endedBy[s])
			signal.Ignore(syscall.SIGHUP) // a shell and its terminal send one each
			if _, n := dist.Launched(); n > 1 {
				signal.Ignore(os.Interrupt, syscall.SIGTERM) // the terminal and mpirun send one each
			}
			signal.Stop(signals)
			return
		}
	}()
	return ctx
}

// chatting is where signals go while a chat is on: Ctrl-C ends an answer only.
var chatting atomic.Pointer[chan os.Signal]

// program is one command on its way, and its context.
type program struct {
	context.Context
	asked    context.Context // the caller's: it may count how often it is asked for its error
	out, err *output
	byItself atomic.Pointer[string] // see endsByItself; nil: it does not
}

func newProgram(ctx context.Context, stdout, stderr io.Writer) *program {
	p := &program{asked: ctx}
	inner, cancel := context.WithCancelCause(ctx)
	p.Context = inner
	failed := func(err error) {
		if errors.Is(err, syscall.EPIPE) {
			err = endedByClosedPipe
		}
		cancel(err)
	}
	p.out = newOutput(stdout, failed)
	p.err = newOutput(stderr, func(err error) {
		if errors.Is(err, syscall.EPIPE) { // of other errors a command that does its work need not die
			failed(err)
		}
	})
	return p
}

func (p *program) Err() error {
	if err := p.asked.Err(); err != nil {
		return err
	}
	return p.Context.Err()
}

type programKey struct{}

func (p *program) Value(key any) any {
	if key == (programKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// endsByItself says that a command ends by itself, until done is called, when its context does,
// however long that takes: it has something to save. notice is told to whoever waits for it.
func endsByItself(ctx context.Context, notice string) (done func()) {
	p, ok := ctx.Value(programKey{}).(*program)
	if !ok {
		return func() {}
	}
	p.byItself.Store(&notice)
	return func() { p.byItself.Store(nil) }
}

// grace is how long a command may take to end in good order. Then it is left where it is, in a
// read that never returns or in the middle of a large file, and the program ends without it.
const grace = 300 * time.Millisecond

// run runs a command until it ends, or is left.
func (p *program) run(command func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		debug.SetPanicOnFault(true) // of this goroutine; see mapped.Guard
		defer func() {
			if r := recover(); r != nil {
				if cut := mapped.Cut(r); cut != nil {
					done <- cut
				} else {
					done <- &crash{r, debug.Stack()}
				}
			}
		}()
		done <- command(p)
	}()
	select {
	case err := <-done:
		return err
	case <-p.Done():
	}
	for told := false; ; told = true {
		select {
		case err := <-done:
			return err
		case <-time.After(grace):
		}
		switch notice := p.byItself.Load(); {
		case notice == nil:
			return context.Cause(p)
		case !told && *notice != "":
			fmt.Fprintf(p.err, "\nagora: %s\n", *notice)
		}
	}
}

// crash is a panic of a command.
type crash struct {
	value any
	stack []byte
}

func (c *crash) Error() string {
	if err, ok := c.value.(error); ok {
		if e, ok := errors.AsType[*tensor.Error](err); ok {
			return e.Error()
		}
	}
	return fmt.Sprintf("internal error: %v\n%s", c.value, c.stack)
}

// end says how a command has ended, writes no more, and gives the exit code.
func (p *program) end(err error) (code int) {
	defer p.err.end(os.ErrClosed)
	if failed := p.out.end(os.ErrClosed); failed != nil {
		if err == nil || errors.Is(err, failed) || errors.Is(err, context.Canceled) {
			err = failed
		} else if !errors.Is(failed, syscall.EPIPE) {
			err = errors.Join(err, failed)
		}
	}
	if c, ok := errors.AsType[*crash](err); ok {
		fmt.Fprintf(p.err, "agora: %v\n", c)
		return exitInternal
	}
	why := endedBy[os.Interrupt]
	for _, e := range []error{context.Cause(p), err} {
		if e, ok := e.(*ended); ok {
			why = e
		}
	}
	switch {
	case err == nil:
		return 0
	case err == errInterrupted, why == endedByClosedPipe &&
		(errors.Is(err, why) || errors.Is(err, syscall.EPIPE) || errors.Is(err, context.Canceled)):
		return why.code // all is said, or nobody listens
	case err == context.Canceled, err == why:
		p.say(why)
		return why.code
	case errors.Is(err, context.Canceled):
		p.say(err)
		return why.code
	default:
		p.say(err)
		return exitError
	}
}

// say prints an error on a line, or on several if it has some of its own: a line feed in a name
// makes none.
func (p *program) say(err error) {
	var lines func(err error) []string
	lines = func(err error) (all []string) {
		switch e := err.(type) {
		case *train.DoesNotFitError:
			return strings.Split(e.Error(), "\n")
		case interface{ Unwrap() []error }:
			if err.Error() != errors.Join(e.Unwrap()...).Error() {
				break
			}
			for _, part := range e.Unwrap() {
				all = append(all, lines(part)...)
			}
			return all
		}
		return []string{printable.Name(err.Error())}
	}
	said := make(chan struct{})
	go func() {
		fmt.Fprintf(p.err, "agora: %s\n", strings.Join(lines(err), "\n"))
		close(said)
	}()
	select {
	case <-said:
	case <-p.stuck():
	}
}

// stuck ends some time after the command was told to end: its output may be a pipe that is full
// and that nobody reads.
func (p *program) stuck() <-chan struct{} {
	over := make(chan struct{})
	context.AfterFunc(p, func() { time.AfterFunc(grace, func() { close(over) }) })
	return over
}
