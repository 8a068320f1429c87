package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// talker is a conversation with a small random model, on lines that are typed already. Its
// template is a token for each letter; seen are the conversations that it was given.
func talker(t *testing.T, positions, maxTokens int, lines ...string) (c *conversation, out *bytes.Buffer,
	seen *[][]chat.Message) {
	t.Helper()
	d, err := device.OpenWith("cpu", device.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	m, err := llama.New(d, llama.Config{
		ModelType: "llama", Vocab: 282, Hidden: 16, Intermediate: 16, Layers: 1, Heads: 2, KVHeads: 1, HeadDim: 8,
		MaxPositions: positions,
		NormEps:      1e-5, InitRange: 0.1, BOS: -1, RoPE: ops.RoPEScaling{Theta: 10000},
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load("../../tokenizer/testdata/bytes.json")
	if err != nil {
		t.Fatal(err)
	}
	typed := make(chan string, len(lines))
	for _, line := range lines {
		typed <- line
	}
	close(typed)
	out, seen = &bytes.Buffer{}, &[][]chat.Message{}
	return &conversation{
		writer: &writer{model: m, tok: tok, options: llama.GenerateOptions{MaxTokens: maxTokens}, out: out},
		render: func(messages []chat.Message, answer bool) (ids []int32, err error) {
			if !answer {
				t.Error("the template is not asked for an answer")
			}
			*seen = append(*seen, slices.Clone(messages))
			for _, m := range messages {
				ids = append(ids, make([]int32, len(m.Content))...)
			}
			return ids, nil
		},
		lines: typed, out: out,
	}, out, seen
}

// roles spells a conversation briefly.
func roles(messages []chat.Message) string {
	var s []string
	for _, m := range messages {
		if m.Role == "assistant" {
			m.Content = "…"
		}
		s = append(s, m.Role[:1]+":"+m.Content)
	}
	return strings.Join(s, " ")
}

func TestChatKeepsWhatWasSaid(t *testing.T) {
	c, out, seen := talker(t, 200, 3, "one", "", "two", "/new", "three")
	c.messages = []chat.Message{{Role: "system", Content: "be kind"}}
	if err := c.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, messages := range *seen {
		got = append(got, roles(messages))
	}
	want := []string{"s:be kind u:one", "s:be kind u:one a:… u:two", "s:be kind u:three"}
	if !slices.Equal(got, want) {
		t.Errorf("the template was given %q, want %q", got, want)
	}
	if answer := (*seen)[1][2].Content; answer == "" || !strings.HasPrefix(out.String(), answer) {
		t.Errorf("the kept answer is %q, printed was %q", answer, out)
	}
}

// Where a conversation has outgrown the model, its oldest turns are forgotten, and no more
// of them than must be.
func TestChatForgets(t *testing.T) {
	long := strings.Repeat("x", 30)
	c, _, seen := talker(t, 100, 10, long, "2nd", long, "4th")
	c.messages = []chat.Message{{Role: "system", Content: "s"}}
	if err := c.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	last := (*seen)[len(*seen)-1]
	if last[0].Role != "system" || last[1].Content == long || last[len(last)-1].Content != "4th" ||
		last[1].Role != "user" {
		t.Errorf("the last conversation is %s", roles(last))
	}
	if len(last) < 6 {
		t.Errorf("more was forgotten than the first turn: %s", roles(last))
	}

	c, _, _ = talker(t, 100, 10, strings.Repeat("x", 100))
	if err := c.run(context.Background()); !errors.Is(err, errTooLong) ||
		!strings.Contains(err.Error(), "100 tokens in its template, want fewer than the model's 100 positions") {
		t.Errorf("too long: error %v", err)
	}
	c, out, seen := talker(t, 100, 10, strings.Repeat("x", 100), "short")
	c.question = "> "
	if err := c.run(context.Background()); err != nil || !strings.Contains(out.String(), "too long") ||
		roles((*seen)[1]) != "u:short" {
		t.Errorf("on a terminal: error %v, printed %q, seen %v", err, out, *seen)
	}
}

// interrupting presses Ctrl-C, or ends the program, when the first text comes. The text goes
// on once whoever waits for signals has done what there is to do.
type interrupting struct {
	bytes.Buffer
	to     chan<- os.Signal
	signal os.Signal
}

func (w *interrupting) Write(b []byte) (int, error) {
	if w.Len() == 0 && len(b) > 0 {
		w.to <- w.signal
		synctest.Wait()
	}
	return w.Buffer.Write(b)
}

// Ctrl-C while an answer comes stops it, what there is of it is kept; the next one, where
// a line is wanted, ends the chat.
func TestChatInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := talker(t, 4096, 4000)
		typed, signals := make(chan string, 1), make(chan os.Signal, 2)
		typed <- "one" // and the line after it never comes
		shown := &interrupting{to: signals, signal: os.Interrupt}
		c.lines, c.interrupts = typed, signals
		c.writer.out, c.out = shown, &interrupting{to: signals,
			signal: os.Interrupt} // the latter is written to when the answer has ended
		if err := c.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(c.messages) != 2 || c.messages[1].Role != "assistant" || shown.Len() == 0 || shown.Len() > 100 {
			t.Errorf("after Ctrl-C the conversation is %s, of %d bytes", roles(c.messages), shown.Len())
		}
		if len(signals) != 0 {
			t.Error("the second Ctrl-C was not seen")
		}
	})
}

// What ends a program ends the chat with its answer.
func TestChatTerminated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := talker(t, 4096, 4000, "one", "two")
		signals := make(chan os.Signal, 1)
		c.interrupts, c.writer.out = signals, &interrupting{to: signals, signal: syscall.SIGTERM}
		if err := c.answer(context.Background(), "one"); !errors.Is(err, errEnded) {
			t.Errorf("after SIGTERM: error %v", err)
		}
	})
}

// turnTokens is a tokenizer of a ChatML model.
type turnTokens struct{ tokenizer.PartEncoder }

func (turnTokens) Special(name string) (int32, bool) { return 7, name == "<|im_end|>" }

// An answer ends with what ends a turn, whatever the configuration says.
func TestAnswerEnds(t *testing.T) {
	for _, c := range []struct{ eos, want []int32 }{{nil, []int32{7}}, {[]int32{2}, []int32{2, 7}},
		{[]int32{7, 2}, []int32{7, 2}}} {
		if got := answerEnds(c.eos, turnTokens{}); !slices.Equal(got, c.want) {
			t.Errorf("EOS %v: an answer ends with %v, want %v", c.eos, got, c.want)
		}
	}
}

// The command reads lines, uses a template and prints one answer each.
func TestChatCommand(t *testing.T) {
	model, _ := realModel(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = stdin }()
	if _, err := io.WriteString(w, "Once upon a time\nthere was a cat\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	code, stdout, stderr := agora(t, "generate", "--model", model, "--chat", "--template", "llama2", "--greedy",
		"--max-tokens", "9", "--ignore-eos")
	if code != 0 || strings.Count(stdout, "\n") < 2 || strings.Contains(stdout, "INST") {
		t.Errorf("exit code %d, printed %q, %s", code, stdout, stderr)
	}
	for want, args := range map[string][]string{
		"want a chat_template": {"generate", "--model", model, "--chat"},
		"--template: ":         {"generate", "--model", model, "--chat", "--template", "chatml"},
		"either --prompt":      {"generate", "--model", model, "--chat", "--prompt", "a"},
	} {
		if code, _, stderr := agora(t, args...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("agora %v: exit code %d, want %q in %s", args, code, want, stderr)
		}
	}
}
