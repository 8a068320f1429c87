package main

import (
	"fmt"
	"regexp"
	"strings"
)

// document is what a reader of a file does.
type document struct {
	file  string
	steps []step
}

// step is a command to type, or a file to write.
type step struct {
	line int    // of the document, from 1
	text string // of the command or the file
	file string // empty for a command

	// shown, if not nil, are lines that the command prints, "…" standing for anything; it may fail.
	shown []string
}

var (
	// strayCommand is a line that looks like a command but stands in no block of its language.
	strayCommand = regexp.MustCompile("^(    |\t)\\$? ?(agora|go) ")
	fileName     = regexp.MustCompile(`^# ([\w.-]+\.yaml)$`)
)

// parse finds the steps of a Markdown file. One that has blocks of commands has all of them there.
func parse(file, text string) (document, error) {
	d := document{file: file}
	language := "" // of the block we are in
	open := 0      // its first line; 0: in none
	var block []string
	var stray error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case open == 0 && strings.HasPrefix(line, "```"):
			language, open, block = strings.TrimPrefix(line, "```"), number, nil
		case open == 0:
			if strayCommand.MatchString(line) && stray == nil {
				stray = fmt.Errorf("%s:%d: want commands in ```sh blocks, where they are run, got an indented one: %s", file, number, strings.TrimSpace(line))
			}
		case line == "```":
			switch language {
			case "sh":
				d.commands(open+1, block)
			case "console":
				if text, ok := strings.CutPrefix(first(block), "$ "); ok {
					d.steps = append(d.steps, step{line: open + 1, text: text, shown: block[1:]})
				}
			case "yaml":
				if name := fileName.FindStringSubmatch(first(block)); name != nil {
					d.steps = append(d.steps, step{line: open, file: name[1], text: strings.Join(block, "\n") + "\n"})
				}
			}
			open = 0
		default:
			block = append(block, line)
		}
	}
	if open != 0 {
		return d, fmt.Errorf("%s:%d: want an end of this block, got none", file, open)
	}
	if strings.Contains(text, "```sh\n") {
		return d, stray
	}
	return d, nil // a report: its commands say how something was measured
}

func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// commands adds the commands of a block that begins at a line. One that ends with a
// backslash goes on in the next line.
func (d *document) commands(line int, block []string) {
	for i := 0; i < len(block); i++ {
		from, text := i, block[i]
		for strings.HasSuffix(text, `\`) && i+1 < len(block) {
			i++
			text += "\n" + block[i]
		}
		if t := strings.TrimSpace(text); t != "" && !strings.HasPrefix(t, "#") {
			d.steps = append(d.steps, step{line: line + from, text: t})
		}
	}
}

// missing is the first shown line that the output does not hold, or "".
func (s step) missing(output string) string {
	for _, line := range s.shown {
		parts := strings.Split(line, "…")
		for i, part := range parts {
			parts[i] = regexp.QuoteMeta(strings.TrimSpace(part))
		}
		if !regexp.MustCompile(strings.Join(parts, ".*")).MatchString(output) {
			return line
		}
	}
	return ""
}
