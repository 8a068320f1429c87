package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// generation is what generate --json prints.
type generation struct {
	Text string  `json:"text"` // prompt and continuation
	IDs  []int32 `json:"ids"`  // of both, BOS included
}

type generateFlags struct {
	modelFlags
	prompt             string
	instruction, input string
	system, template   string
	templateDate       string
	chat               bool
	greedy, ignoreEOS  bool
	special            string
	stops              []string
	options            llama.GenerateOptions
	asJSON             bool
}

func generateCommand() *cobra.Command {
	var f generateFlags
	c := &cobra.Command{
		Use:   "generate --model DIR [--adapter PATH] [--prompt TEXT | --instruction TEXT | --chat]",
		Short: "Continue a text, answer an instruction, or chat",
		Long: `Continue a text, answer an instruction, or, with neither and on a terminal, chat: what
was said before is kept, and the model's own chat template is used. Ctrl-C stops an
answer; at the prompt it ends the chat.`,
		Example: "  agora generate --model models/llama --prompt \"Once upon a time\" --greedy\n" +
			"  agora generate --model models/llama --adapter my-adapter --instruction \"Name three colors.\"\n" +
			"  agora generate --model models/llama-chat",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	fl := c.Flags()
	fl.StringVar(&f.prompt, "prompt", "", "text to continue; may be empty")
	fl.StringVar(&f.instruction, "instruction", "", "instruction to answer, put into Alpaca's prompt")
	fl.StringVar(&f.input, "input", "", "further input for --instruction")
	fl.BoolVar(&f.chat, "chat", false, "chat, also where the input is no terminal: each line of it is a message")
	fl.StringVar(&f.template, "template", "", "form of the chat: "+strings.Join(chat.Names(), ", ")+
		" (default: the model's own template)")
	fl.StringVar(&f.templateDate, "template-date", "",
		"date, 2026-11-28, or time, 2026-11-28T09:30:00Z, for chat templates that ask for it (default: now)")
	fl.StringVar(&f.special, "special-tokens", "text",
		"special tokens that --prompt or --instruction spells: text (letters) or parse (the tokens); in a chat they "+
			"are letters")
	fl.StringVar(&f.system, "system", "", "what the model is told before a chat, or before --instruction in place "+
		"of Alpaca's first sentences")
	fl.IntVar(&f.options.MaxTokens, "max-tokens", 256, "new tokens at most; of each answer in a chat")
	fl.BoolVar(&f.greedy, "greedy", false, "always the most likely token (the same as --temperature 0)")
	fl.Float32Var(&f.options.Temperature, "temperature", 0.8, "divides the logits before drawing")
	fl.IntVar(&f.options.TopK, "top-k", 0, "draw from the K most likely tokens; 0: from all")
	fl.Float32Var(&f.options.TopP, "top-p", 0, "draw from the most likely tokens of this probability together; 0: "+
		"from all")
	fl.Float32Var(&f.options.MinP, "min-p", 0, "draw from tokens of at least this part of the largest probability; "+
		"0: from all")
	fl.Float32Var(&f.options.RepetitionPenalty, "repetition-penalty", 1,
		"above 1: tokens that were there already become less likely")
	fl.StringArrayVar(&f.stops, "stop", nil, "end where this text would follow; may be given several times")
	fl.Uint64Var(&f.options.Seed, "seed", 0, "of the random numbers")
	fl.BoolVar(&f.ignoreEOS, "ignore-eos", false, "go on past the end of the text")
	fl.BoolVar(&f.asJSON, "json", false, "print text and ids as JSON, in a chat of each answer")
	f.register(c)
	f.device.registerRound(c)
	return c
}

// warnOfNoEnd says that nothing will end what is written.
func warnOfNoEnd(c *cobra.Command, ends []int32) {
	if len(ends) == 0 {
		fmt.Fprintln(c.ErrOrStderr(), "warning: neither the model nor its tokenizer names a token that ends a text: "+
			"what is written goes on to --max-tokens; --eos-token names one")
	}
}

func (f *generateFlags) run(c *cobra.Command) error {
	isInstruction, isPrompt := c.Flags().Changed("instruction"), c.Flags().Changed("prompt")
	if !isInstruction && !isPrompt && isTerminal(c.InOrStdin()) {
		f.chat = true
	}
	given := 0
	for _, is := range []bool{isInstruction, isPrompt, f.chat} {
		if is {
			given++
		}
	}
	if given != 1 {
		return errors.New("want either --prompt or --instruction or --chat")
	}
	if isPrompt && f.system != "" {
		return errors.New("--system: want it with --instruction or in a chat, got --prompt")
	}
	if err := need("model", f.model); err != nil {
		return err
	}
	special := tokenizer.SpecialTokens(f.special)
	if err := special.Validate(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if f.greedy {
		f.options.Temperature = 0
	}
	tok, err := f.loadTokenizer()
	if err != nil {
		return err
	}
	b, err := f.open(c)
	if err != nil {
		return err
	}
	defer b.close()
	if !f.ignoreEOS {
		if f.options.StopIDs = textEnds(b.Config.EOS, tok); !f.chat {
			warnOfNoEnd(c, f.options.StopIDs)
		}
	}
	out := c.OutOrStdout()
	shown := forText(out)
	if f.asJSON {
		shown = io.Discard
	}
	w := &writer{model: b.Model, tok: tok, options: f.options, stops: f.stops, out: shown}
	if f.chat {
		return f.talk(c, w)
	}
	text := f.prompt
	if isInstruction {
		text = data.AlpacaPrompt(f.system, f.instruction, f.input)
	}
	noteSpecial(c.ErrOrStderr(), "the prompt", tok, text, special)
	g, err := w.write(c.Context(), encodeWithBOS(tok, text, special), !isInstruction)
	if err != nil {
		return err
	}
	if f.asJSON {
		err = printJSON(out, generation{Text: g.prompt + g.answer, IDs: g.ids})
	} else {
		_, err = fmt.Fprintln(shown)
	}
	if err == nil && c.Context().Err() != nil { // what there is has been shown
		return errInterrupted
	}
	return err
}
