package multilora

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/golden"
)

// Patterns choose the names that Python's re.fullmatch chooses.
func TestPEFTPatternsAsPythonMatches(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(golden.Folder(t), "peft-patterns.json"))
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Names   []string
		Matched map[string][]string
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	tracked := 0
	for written, want := range table.Matched {
		p, err := field{key: "target_modules"}.compile(`^(?:`, written, `)$`)
		if err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		if p.tracks != nil {
			tracked++
		}
		var got []string
		for _, name := range table.Names {
			if p.match(name, newFence()) {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s matches %q, want %q", written, got, want)
		}
	}
	if tracked < 20 {
		t.Errorf("%d patterns with look-arounds", tracked)
	}
}

// What Python reads otherwise is refused by name; what only Go reads, or nobody, too.
func TestPEFTPatternsOfOtherSyntax(t *testing.T) {
	for written, want := range map[string]string{
		`(?!a)(?P<name>b)`:                 "a regular expression without (?P<, which is not read as Python reads it",
		`(?!a)(?<name>b)`:                  "without (?<n, which",
		`(?!a)(?(1)b|c)`:                   "without (?(1, which",
		`(?!a)(?x)b`:                       "without (?x), which",
		`(?!a)b\Z`:                         `without \Z, which`,
		`b\Z`:                              `without \Z, which`,
		`(?!a)\pL`:                         `without \p, which`,
		`(?!a)\Gb`:                         `without \G, which`,
		`(?!a)[a-z-[b]]`:                   "without -[, which",
		`q{,2}`:                            "without {,, which",
		`(?!a)q{,2}`:                       "without {,, which",
		`[[:alpha:]]`:                      "without [:, which",
		`(?!a)[]:[:alpha:]]`:               "without [:, which",
		`(`:                                "a regular expression that is known here (error parsing regexp: missing closing )",
		`(?!a`:                             "a regular expression that is known here (error parsing regexp",
		`(?!a)b*+`:                         "a regular expression that is known here",
		`(?!a)` + strings.Repeat("x", 2e3): "a regular expression that is known here (error parsing regexp: invalid or unsupported Perl syntax: `(?!`)",
	} {
		value, _ := json.Marshal(written)
		_, err := field{key: "target_modules", value: value}.compile(`^(?:`, written, `)$`)
		if err == nil || !strings.HasPrefix(err.Error(), "field target_modules: want ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50s: error %v, want %q", written, err, want)
		}
	}
	for _, written := range []string{`\[:`, `[\[:]`, `\{,2}`, `[{,]`} {
		if _, err := (field{key: "target_modules"}).compile(`^(?:`, written, `)$`); err != nil {
			t.Errorf("%s: %v", written, err)
		}
	}
}

// A pattern that takes exponential time ends at the fence, and with it all others.
func TestPEFTPatternsBehindAFence(t *testing.T) {
	p, err := field{key: "target_modules"}.compile(`^(?:`, `(?:(?=a)a+)+(?<=b)`, `)$`)
	if err != nil || p.tracks == nil {
		t.Fatal(err)
	}
	f := &fence{left: time.Millisecond}
	if p.match(strings.Repeat("a", 60), f) || f.err == nil ||
		!strings.Contains(f.err.Error(), "want those that are matched in a moment") {
		t.Errorf("error %v", f.err)
	}
	if p.match("b", f) {
		t.Error("a pattern is matched behind the fence")
	}
	c, err := parsePEFTConfig([]byte(`{"peft_type": "LORA", "target_modules": "(?:(?=a)a+)+(?<=b)"}`))
	if err != nil {
		t.Fatal(err)
	}
	c.fence.left = time.Millisecond
	if c.adapts(strings.Repeat("a", 60)) || c.fence.err == nil {
		t.Errorf("error %v", c.fence.err)
	}
}
