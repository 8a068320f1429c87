package main

import (
	"errors"
	"fmt"
	"strings"
)

// commandLine is a flag's command: a program and its arguments, between spaces. What stands in single or double quotes is kept
// together and as it is, spaces and the other quotes included; a backslash is a letter like any other, as in paths on Windows.
type commandLine []string

// Set implements pflag.Value.
func (c *commandLine) Set(text string) error {
	if len(*c) > 0 {
		return fmt.Errorf("want one command, got %s as well", strings.Join(*c, " "))
	}
	words, err := splitWords(text)
	if err == nil && (len(words) == 0 || words[0] == "") {
		err = errors.New("want a command, got none")
	}
	*c = words
	return err
}

// String implements pflag.Value.
func (c *commandLine) String() string { return strings.Join(*c, " ") }

// Type implements pflag.Value.
func (c *commandLine) Type() string { return "command" }

func splitWords(text string) (words []string, err error) {
	var word strings.Builder
	var quote rune // that is open, or 0
	inWord := false
	for _, r := range text {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true // '' is a word without letters
		case quote == 0 && strings.ContainsRune(" \t\r\n", r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("want another %c, got the end", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
