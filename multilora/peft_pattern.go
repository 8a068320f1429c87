package multilora

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// pattern is a regular expression as PEFT's configurations have them, in Python's syntax. Go's regexp takes most of
// them, in time linear in the name. It has no look-arounds and back-references: with those a pattern is regexp2's,
// which goes back and forth as Python's re does, behind a fence.
type pattern struct {
	linear *regexp.Regexp
	tracks *regexp2.Regexp // nil: linear
}

// fence bounds the time that one file's patterns take, which may be exponential in the name.
type fence struct {
	left time.Duration
	err  error // why it has fallen; no pattern matches from then on
}

func newFence() *fence { return &fence{left: 2 * time.Second} }

// compile makes a pattern of what stands in a file, with what PEFT puts before and after it.
func (f field) compile(before, written, after string) (pattern, error) {
	if len(written) > maxRepeated && strings.Contains(written, "{") {
		return pattern{}, f.wrong(fmt.Sprintf("counted repetitions in patterns of at most %d bytes only", maxRepeated))
	}
	other := otherInGo(written)
	if other == "" {
		linear, err := regexp.Compile(before + written + after)
		if err == nil {
			return pattern{linear: linear}, nil
		}
		if len(written) > maxTracked {
			return pattern{}, f.wrong(fmt.Sprintf("a regular expression that is known here (%.200s)", err))
		}
		other = otherInDotNet(written)
		if other == "" {
			tracks, e := regexp2.Compile(before+written+strings.ReplaceAll(after, "(?P<", "(?<"), regexp2.None)
			if e != nil {
				return pattern{}, f.wrong(fmt.Sprintf("a regular expression that is known here (%.200s)", err))
			}
			return pattern{tracks: tracks}, nil
		}
	}
	return pattern{}, f.wrong(fmt.Sprintf("a regular expression without %s, which is not read as Python reads it", other))
}

// maxTracked is the length of a pattern that regexp2 may see.
const maxTracked = 2000 // bytes

// match reports whether the pattern is found in a name.
func (p pattern) match(name string, f *fence) bool {
	_, ok := p.group(name, "", f)
	return ok
}

// group is what a group of the pattern is in a name ("": the whole), and whether the pattern is found.
func (p pattern) group(name, group string, f *fence) (string, bool) {
	if p.tracks == nil {
		m := p.linear.FindStringSubmatch(name)
		if m == nil || group == "" {
			return "", m != nil
		}
		return m[p.linear.SubexpIndex(group)], true
	}
	if f.err != nil {
		return "", false
	}
	began := time.Now()
	p.tracks.MatchTimeout = f.left
	m, err := p.tracks.FindStringMatch(name)
	if f.left -= time.Since(began); err != nil || f.left <= 0 {
		f.err = fmt.Errorf("patterns: want those that are matched in a moment, got %.100q beside the name %q",
			p.tracks.String(), name)
		return "", false
	}
	if m == nil || group == "" {
		return "", m != nil
	}
	return m.GroupByName(group).String(), true
}

// otherInGo is the first part of a pattern that Go's regexp takes for something else than Python's re, and so does
// regexp2; "": none.
func otherInGo(written string) string {
	return firstOf(written, func(rest string, class bool) string {
		switch {
		case class && strings.HasPrefix(rest, "[:"):
			return "[:"
		case !class && strings.HasPrefix(rest, "{,"):
			return "{,"
		}
		return ""
	})
}

// otherInDotNet is the first part of a pattern that is not the same in Python's syntax and in .NET's, which is
// regexp2's; "": none.
func otherInDotNet(written string) string {
	return firstOf(written, func(rest string, class bool) string {
		switch {
		case strings.HasPrefix(rest, `\`) && len(rest) > 1:
			if strings.ContainsRune("ZzGpPkK", rune(rest[1])) {
				return rest[:2]
			}
		case class && strings.HasPrefix(rest, "-["): // takes a class away
			return "-["
		case !class && strings.HasPrefix(rest, "(?"):
			for _, same := range []string{"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"} {
				if strings.HasPrefix(rest, same) {
					return ""
				}
			}
			return rest[:min(len(rest), len("(?P<"))]
		}
		return ""
	})
}

// firstOf asks other at each part of a pattern, in classes and outside, until it names one.
func firstOf(written string, other func(rest string, class bool) string) string {
	class := false
	for i := 0; i < len(written); i++ {
		if part := other(written[i:], class); part != "" {
			return part
		}
		switch c := written[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
			if strings.HasPrefix(written[i+1:], "^") {
				i++
			}
			if strings.HasPrefix(written[i+1:], "]") { // a first one is a member
				i++
			}
		}
	}
	return ""
}
