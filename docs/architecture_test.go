package docs_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the right lines into architecture.md")

// Every [text](file#Lnumber) leads to a line that holds the text.
func TestLinesOfArchitecture(t *testing.T) {
	path := filepath.Join(home, "architecture.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	link := regexp.MustCompile(`\[([^\]]+)\]\(([^)#]+)#L(\d+)\)`)
	right := link.ReplaceAllStringFunc(string(text), func(s string) string {
		links++
		m := link.FindStringSubmatch(s)
		file, err := os.ReadFile(filepath.Join(home, m[2]))
		if err != nil {
			t.Error(err)
			return s
		}
		for i, line := range strings.Split(string(file), "\n") {
			if strings.Contains(line, m[1]) && !(strings.HasSuffix(m[2], ".go") && strings.HasPrefix(line, "//")) {
				return fmt.Sprintf("[%s](%s#L%d)", m[1], m[2], i+1)
			}
		}
		t.Errorf("%s: want a line with %q, got none", m[2], m[1])
		return s
	})
	if links < 10 {
		t.Errorf("got %d links to lines, want 10 at least", links)
	}
	if right == string(text) {
		return
	}
	if !*update {
		t.Error("lines have moved: go test ./docs -run Architecture -update")
	} else if err := os.WriteFile(path, []byte(right), 0o666); err != nil {
		t.Error(err)
	}
}
