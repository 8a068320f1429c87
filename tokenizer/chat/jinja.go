package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/agora-ml/agora/tokenizer"
	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
)

// A template is a program that came with the model. It is rendered as transformers
// renders it, but reads no files, does not call itself, and has an end.
const (
	maxSource  = 128 << 10
	maxNesting = 100
	maxRange   = 10_000
	maxRender  = 10 * time.Second
)

// jinja is a template in Jinja.
type jinja struct {
	source   string
	bos, eos string
}

func newJinja(source, bos, eos string) (*jinja, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("want a template of at most %d bytes, got %d", maxSource, len(source))
	}
	if depth := nesting(source); depth > maxNesting {
		return nil, fmt.Errorf("want at most %d brackets in one another, got %d", maxNesting, depth)
	}
	if recursive.MatchString(source) {
		return nil, fmt.Errorf("want no recursive loop, got one")
	}
	j := &jinja{source, bos, eos}
	_, err := j.compile(time.Time{})
	return j, err
}

var recursive = regexp.MustCompile(`\brecursive\s*[-+]?%}`)

func nesting(source string) int {
	depth, deepest := 0, 0
	for i := range len(source) {
		switch source[i] {
		case '(', '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ')', ']', '}':
			depth = max(0, depth-1)
		}
	}
	return deepest
}

// statements are the tags a template may use. Macros, which can call themselves, and
// whatever reads files are not among them.
var statements = []string{"if", "for", "set", "break", "continue"}

// filters are what values may go through, beside tojson: nothing random, and nothing
// that makes much of little.
var filters = []string{
	"abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "join", "last", "length", "list",
	"lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr",
	"sort", "string", "sum", "title", "trim", "unique", "upper",
}

// allowed is the library's environment cut down to what is listed above.
func allowed(deadline time.Time) (*exec.Environment, error) {
	tags := map[string]parser.ControlStructureParser{}
	for _, name := range statements {
		parse, ok := builtins.ControlStructures.Get(name)
		if !ok {
			return nil, fmt.Errorf("want the statement %s in the Jinja library, got none", name)
		}
		tags[name] = func(p, args *parser.Parser) (nodes.ControlStructure, error) {
			s, err := parse(p, args)
			if err != nil {
				return nil, err
			}
			inner, ok := s.(exec.ControlStructure)
			if !ok {
				return nil, fmt.Errorf("want a statement, got %T", s)
			}
			return timed{inner, deadline}, nil
		}
	}
	known := map[string]exec.FilterFunction{"tojson": toJSON}
	for _, name := range filters {
		f, ok := builtins.Filters.Get(name)
		if !ok {
			return nil, fmt.Errorf("want the filter %s in the Jinja library, got none", name)
		}
		known[name] = f
	}
	return &exec.Environment{
		Context: exec.EmptyContext(), Filters: exec.NewFilterSet(known), Tests: builtins.Tests, Methods: builtins.Methods,
		ControlStructures: exec.NewControlStructureSet(tags),
	}, nil
}

// toJSON writes JSON as transformers does, which is not as the library does. Lists and
// mappings are for tools, which no message here has.
func toJSON(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	if !in.IsString() && !in.IsNumber() && !in.IsBool() {
		return exec.AsValue(fmt.Errorf("tojson: want text, a number or a truth value, got %.40q", in.String()))
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(in.Interface()); err != nil {
		return exec.AsValue(fmt.Errorf("tojson: %w", err))
	}
	text := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\\`, `\\`).Replace(out.String())
	return exec.AsSafeValue(strings.TrimSuffix(text, "\n"))
}

// compile parses the template anew for each rendering: the clock is part of it.
func (j *jinja) compile(deadline time.Time) (t *exec.Template, err error) {
	defer catch(&err)
	environment, err := allowed(deadline)
	if err != nil {
		return nil, err
	}
	c := config.New()
	c.TrimBlocks, c.LeftStripBlocks = true, true // as transformers has them
	return exec.NewTemplate(only, c, &onlyLoader{j.source}, environment)
}

// timed is a statement that fails when the time is over.
type timed struct {
	exec.ControlStructure
	deadline time.Time
}

var errTime = fmt.Errorf("want a template that renders within %v, got none", maxRender)

// Execute implements exec.ControlStructure.
func (s timed) Execute(r *exec.Renderer, b *nodes.ControlStructureBlock) error {
	if time.Now().After(s.deadline) {
		return errTime
	}
	return s.ControlStructure.Execute(r, b)
}

// render writes the messages with the template, and takes only those special tokens for
// special that the template wrote itself.
func (j *jinja) render(tok tokenizer.PartEncoder, messages []Message, answer bool) ([]tokenizer.Part, error) {
	seal := newSeal(tok, messages)
	list := make([]any, len(messages))
	for i, m := range messages {
		role, err := seal.close(m.Role)
		if err != nil {
			return nil, err
		}
		content, err := seal.close(m.Content)
		if err != nil {
			return nil, err
		}
		list[i] = map[string]any{"role": role, "content": content}
	}
	text, err := j.run(map[string]any{
		"messages": list, "add_generation_prompt": answer, "bos_token": j.bos, "eos_token": j.eos,
	})
	if err != nil {
		return nil, err
	}
	w := writer{tok: tok}
	for _, p := range tok.SplitSpecial(text) {
		if p.Special {
			w.id(p.ID, true)
		} else {
			w.text(seal.open(p.Text))
		}
	}
	return w.parts, nil
}

func (j *jinja) run(values map[string]any) (text string, err error) {
	defer catch(&err)
	t, err := j.compile(time.Now().Add(maxRender))
	if err != nil {
		return "", err
	}
	var refused error
	values["raise_exception"] = func(message string) (string, error) {
		refused = errors.New(message)
		return "", refused
	}
	values["namespace"], _ = builtins.GlobalFunctions.Get("namespace")
	values["range"] = limitedRange
	values["strftime_now"] = func(format string) (string, error) { return strftime(time.Now(), format) }
	text, err = t.ExecuteToString(exec.NewContext(values))
	if refused != nil {
		return "", fmt.Errorf("the template refuses the messages: %w", refused)
	}
	return text, err
}

// catch makes an error of a panic in the Jinja library.
func catch(err *error) {
	if e := recover(); e != nil {
		*err = fmt.Errorf("want a template in Jinja, got one that fails: %v", e)
	}
}

func limitedRange(bounds ...int) ([]int, error) {
	start, stop, step := 0, 0, 1
	switch len(bounds) {
	case 1:
		stop = bounds[0]
	case 2:
		start, stop = bounds[0], bounds[1]
	case 3:
		start, stop, step = bounds[0], bounds[1], bounds[2]
	default:
		return nil, fmt.Errorf("range: want 1 to 3 numbers, got %d", len(bounds))
	}
	if step == 0 {
		return nil, fmt.Errorf("range: want a step, got 0")
	}
	var list []int
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(list) == maxRange {
			return nil, fmt.Errorf("range: want at most %d numbers, got more", maxRange)
		}
		list = append(list, i)
	}
	return list, nil
}

// strftime formats a date as Python does, for the codes that templates use.
func strftime(t time.Time, format string) (string, error) {
	codes := map[byte]string{
		'd': "02", 'b': "Jan", 'B': "January", 'Y': "2006", 'y': "06", 'm': "01", 'H': "15", 'M': "04", 'S': "05", 'A': "Monday", 'a': "Mon",
	}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out.WriteByte(format[i])
			continue
		}
		i++
		if i == len(format) || codes[format[i]] == "" {
			return "", fmt.Errorf("strftime_now: want %%d, %%b, %%B, %%Y, %%y, %%m, %%H, %%M, %%S, %%A or %%a, got %.20q", format[i-1:])
		}
		out.WriteString(t.Format(codes[format[i]]))
	}
	return out.String(), nil
}

// onlyLoader knows the template and nothing else.
type onlyLoader struct{ source string }

const only = "chat_template"

// Read implements loaders.Loader.
func (l *onlyLoader) Read(name string) (io.Reader, error) {
	if name != only {
		return nil, fmt.Errorf("want no other templates, got %.40q", name)
	}
	return strings.NewReader(l.source), nil
}

// Resolve implements loaders.Loader.
func (l *onlyLoader) Resolve(name string) (string, error) { return name, nil }

// Inherit implements loaders.Loader.
func (l *onlyLoader) Inherit(string) (loaders.Loader, error) { return l, nil }
