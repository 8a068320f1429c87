package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// conversation is a chat that people type.
type conversation struct {
	writer     *writer
	render     func(messages []chat.Message, answer bool) ([]int32, error) // the ids that an answer follows
	messages   []chat.Message
	lines      <-chan string
	interrupts <-chan os.Signal // Ctrl-C and the like
	ended      os.Signal        // of those, what has ended it
	question   string           // is shown where a line is wanted
	out        io.Writer
	asJSON     bool
}

// errEnded ends a conversation; it is no error.
var errEnded = errors.New("the chat has ended")

// errTooLong is a message that the model has no room for.
var errTooLong = errors.New("the message is too long")

// talk chats until the input ends.
func (f *generateFlags) talk(c *cobra.Command, w *writer) error {
	template, err := f.chatTemplate(f.template, f.templateDate, w.tok)
	if err != nil {
		return err
	}
	if !f.ignoreEOS {
		w.options.StopIDs = answerEnds(slices.Concat(w.options.StopIDs, template.TurnEnds()), w.tok)
		warnOfNoEnd(c, w.options.StopIDs)
	}
	render := func(messages []chat.Message, _ bool) ([]int32, error) {
		return data.ChatPrompt(w.tok, template, messages)
	}
	signals := make(chan os.Signal, 1)
	chatting.Store(&signals)
	defer chatting.Store(nil)
	t := &conversation{
		writer: w, render: render, lines: readLines(c.InOrStdin()), interrupts: signals, out: c.OutOrStdout(),
		asJSON: f.asJSON,
	}
	if isTerminal(c.InOrStdin()) && !f.asJSON {
		t.question = "> "
		fmt.Fprintln(t.out, "Ctrl-C stops an answer, and ends the chat where there is none. /new forgets what was "+
			"said.")
	}
	if f.system != "" {
		t.messages = []chat.Message{{Role: "system", Content: f.system}}
	}
	if err := t.run(c.Context()); err != nil || t.ended == nil || t.ended == os.Interrupt {
		return err
	}
	return endedBy[t.ended]
}

// readLines gives the lines of r as they come.
func readLines(r io.Reader) <-chan string {
	lines := make(chan string)
	go func() { // ends with the input or the program
		defer close(lines)
		in := bufio.NewReader(r)
		for {
			line, err := in.ReadString('\n')
			if line != "" {
				lines <- strings.TrimRight(line, "\r\n")
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

func (t *conversation) run(ctx context.Context) error {
	for {
		line, ok := t.next(ctx)
		switch {
		case !ok:
			if t.question != "" {
				fmt.Fprintln(t.out)
			}
			return ctx.Err()
		case strings.TrimSpace(line) == "":
		case line == "/new":
			t.messages = slices.DeleteFunc(t.messages, func(m chat.Message) bool { return m.Role != "system" })
		default:
			err := t.answer(ctx, line)
			switch {
			case errors.Is(err, errEnded):
				return ctx.Err()
			case errors.Is(err, errTooLong) && t.question != "": // say it and listen again
				fmt.Fprintln(t.out, err)
			case err != nil:
				return err
			}
		}
	}
}

// next is the next line; none at the end of the input or after Ctrl-C.
func (t *conversation) next(ctx context.Context) (line string, ok bool) {
	if _, err := fmt.Fprint(t.out, t.question); err != nil {
		return "", false
	}
	select {
	case line, ok = <-t.lines:
		return line, ok
	case t.ended = <-t.interrupts:
		return "", false
	case <-ctx.Done():
		return "", false
	}
}

// answer adds a question and its answer, as far as it came, to the conversation.
func (t *conversation) answer(ctx context.Context, question string) error {
	t.messages = append(t.messages, chat.Message{Role: "user", Content: question})
	ids, err := t.fit()
	if err != nil {
		t.messages = t.messages[:len(t.messages)-1]
		return err
	}
	answering, stop := context.WithCancel(ctx)
	defer stop()
	done, stopped := make(chan struct{}), make(chan os.Signal, 1)
	go func() {
		select {
		case s := <-t.interrupts:
			stop()
			stopped <- s
		case <-done:
			stopped <- nil
		}
	}()
	w, err := t.writer.write(answering, ids, false)
	close(done)
	if err != nil {
		return err
	}
	t.messages = append(t.messages, chat.Message{Role: "assistant", Content: strings.TrimSpace(w.answer)})
	if t.asJSON {
		err = printJSON(t.out, generation{Text: w.answer, IDs: w.ids[len(ids):]})
	} else {
		_, err = fmt.Fprintln(t.out)
	}
	if s := <-stopped; s != nil && s != os.Interrupt {
		t.ended = s
		return errEnded
	}
	if ctx.Err() != nil {
		return errEnded
	}
	return err
}

// fit renders the conversation, and forgets its oldest turns where it has grown too long
// for the model to answer.
func (t *conversation) fit() ([]int32, error) {
	positions := t.writer.model.Config.MaxPositions
	room := min(t.writer.options.MaxTokens, positions/4) // for the answer
	for {
		ids, err := t.render(t.messages, true)
		if err != nil {
			return nil, err
		}
		oldest := slices.IndexFunc(t.messages, func(m chat.Message) bool { return m.Role == "user" })
		switch {
		case len(ids)+room <= positions:
			return ids, nil
		case oldest < len(t.messages)-1: // a question, and its answer behind it
			t.messages = slices.Delete(t.messages, oldest, oldest+2)
		case len(ids) < positions:
			return ids, nil
		default:
			return nil, fmt.Errorf("%w: %d tokens in its template, want fewer than the model's %d positions",
				errTooLong, len(ids), positions)
		}
	}
}
