package train

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Setting is one setting of a run: a flag of agora train, a key of its YAML file, a row
// of docs/configuration.md. It implements pflag.Value on a field of its Config.
type Setting struct {
	Name    string
	Group   string
	Meaning string

	// Choices are the words that it takes, beside its default; none: any.
	Choices []Choice
	// Least and Most bound a number. Most is mostly more than anybody means: numbers that f32
	// cannot hold, counts that overflow, memory that is taken before a plan can say no.
	Least, Most float64
	Unit        string // of a number: tokens, bytes, steps, …
	Resume      ResumeClass
	Use         Use // beside training and its plan

	value   value
	derived func() bool  // reports that other settings decide its value
	check   func() error // what it must be beside the values of others, each of which has passed Check
	given   bool
	config  *Config // that has the field; nil for the zero Setting
}

// Choice is a word that a setting takes.
type Choice struct{ Word, Meaning string }

func (c Choice) String() string {
	if c.Meaning == "" {
		return c.Word
	}
	return c.Word + " (" + c.Meaning + ")"
}

// words are choices that need no explanation.
func words[T any](list []T) []Choice { return explained(list, func(T) string { return "" }) }

// explained are choices with their meanings.
func explained[T any](list []T, meaning func(T) string) []Choice {
	all := make([]Choice, len(list))
	for i, w := range list {
		all[i] = Choice{fmt.Sprint(w), meaning(w)}
	}
	return all
}

// ResumeClass is what becomes of a setting when a run goes on.
type ResumeClass int

const (
	// Fixed must be as the run began: its bits depend on it.
	Fixed ResumeClass = iota + 1
	// Noted may change although numbers depend on it: a run that has diverged goes on at a
	// lower rate. What has changed, and from which step on, stands in checkpoints and metrics.
	Noted
	// Movable names an input of the run, which may lie elsewhere if it is the same.
	Movable
	// Free may change: no number depends on it.
	Free
)

func (r ResumeClass) String() string {
	return [...]string{"", "fixed", "noted", "movable", "free"}[r]
}

// Use is a set of purposes beside training that a setting has.
type Use int

const (
	// ForSequences is what the sequences of the data depend on.
	ForSequences Use = 1 << iota
	// ForSpeed is what the time and memory of a step depend on.
	ForSpeed
)

// Help is the meaning with what the setting takes.
func (s *Setting) Help() string {
	if len(s.Choices) == 0 {
		return s.Meaning
	}
	return s.Meaning + ": " + alternatives(s.Choices)
}

// alternatives lists what is to be chosen from: a, b or c.
func alternatives[T any](list []T) string {
	all := make([]string, len(list))
	for i, x := range list {
		all[i] = fmt.Sprint(x)
	}
	last := len(all) - 1
	if last < 1 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

// String is the value as Set takes it.
func (s *Setting) String() string {
	if s.value == nil {
		return "" // the zero Setting, which package pflag asks about
	}
	return s.value.String()
}

// Type is how the help names the values.
func (s *Setting) Type() string { return s.value.kind() }

// IsBool reports whether a flag without a value sets it.
func (s *Setting) IsBool() bool { return s.Type() == "bool" }

// IsNumber reports whether its value is a number.
func (s *Setting) IsNumber() bool {
	_, ok := s.value.(number)
	return ok
}

// Set reads a value. A list is parted by commas, and what is empty is none of its items;
// setting it again adds to it.
func (s *Setting) Set(text string) error {
	if err := s.value.set(text, s.given); err != nil {
		return err
	}
	s.note(place{})
	return nil
}

// setNode sets the value that stands in a YAML file.
func (s *Setting) setNode(node ast.Node, at place) error {
	if err := s.value.setNode(node); err != nil {
		return err
	}
	s.note(at)
	return nil
}

// note remembers that the setting was given, and is not a default.
func (s *Setting) note(at place) {
	s.given = true
	if s.config != nil {
		s.config.note(s.Name, at)
	}
}

// CopyFrom takes the value of the same setting of another Config.
func (s *Setting) CopyFrom(other *Setting) {
	s.note(place{})
	s.value.take(other.value)
}

// Check returns an error if the value is invalid, whatever those of other settings are.
func (s *Setting) Check() error {
	if err := s.checkValue(); err != nil {
		return s.config.wrong(s.Name, err)
	}
	return nil
}

func (s *Setting) checkValue() error {
	if !s.chooses(s.String()) {
		return fmt.Errorf("want %s, got %q", s.wordsOnly(), s)
	}
	switch v := s.value.(type) {
	case number:
		return s.checkRange(v.float())
	case interface{ valid() error }:
		return v.valid()
	}
	return nil
}

// chooses reports whether a word is one of the choices, or the default.
func (s *Setting) chooses(word string) bool {
	for _, c := range s.Choices {
		if c.Word == word {
			return true
		}
	}
	return len(s.Choices) == 0 || word == s.value.initial()
}

// wordsOnly are the choices without their meanings.
func (s *Setting) wordsOnly() string {
	list := make([]string, len(s.Choices))
	for i, c := range s.Choices {
		list[i] = c.Word
	}
	return alternatives(list)
}

// Bounds says what the setting takes, for the documentation.
func (s *Setting) Bounds() string {
	switch {
	case s.IsNumber():
		return strconv.FormatFloat(s.Least, 'g', -1, 64) + " to " + plain(s.Most)
	case len(s.Choices) > 0:
		return s.wordsOnly()
	}
	return ""
}

func (s *Setting) checkRange(x float64) error {
	if s.Type() == "number" && (math.IsNaN(x) || math.IsInf(x, 0) || x < s.Least) {
		return fmt.Errorf("want a finite number of at least %v, got %v", s.Least, x)
	}
	switch {
	case x < s.Least:
		return fmt.Errorf("want at least %.0f, got %s", s.Least, s)
	case x > s.Most:
		return fmt.Errorf("want at most %s, got %s", plain(s.Most), s)
	}
	return nil
}

// plain spells a number without an exponent as long as f64 holds each of its digits.
func plain(x float64) string {
	if x < 1<<53 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// SettingError is what is wrong with a setting.
type SettingError struct {
	Setting string
	File    string // that set it; "": a flag, a program or the default
	Line    int    // of File
	Err     error
}

func (e *SettingError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("--%s: %v", e.Setting, e.Err)
	}
	return fmt.Sprintf("%s:%d: %s: %v", e.File, e.Line, e.Setting, e.Err)
}

func (e *SettingError) Unwrap() error { return e.Err }

// place is where a setting was given.
type place struct {
	file string // "": by a flag or a program
	line int
}

// wrong is err as one of the setting name, with the place where it was set; an err that is one
// of a setting already stays.
func (c *Config) wrong(name string, err error) error {
	if _, ok := errors.AsType[*SettingError](err); ok {
		return err
	}
	at := c.given[name]
	return &SettingError{name, at.file, at.line, err}
}

// wrongf is wrong with a formatted error.
func (c *Config) wrongf(name, format string, args ...any) error {
	return c.wrong(name, fmt.Errorf(format, args...))
}

// isGiven reports whether a setting was set as such, and is not a default.
func (c *Config) isGiven(name string) bool {
	_, ok := c.given[name]
	return ok
}
