package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The Go of a worked example is that of its patch, line by line.
func TestWorkedExamples(t *testing.T) {
	for page, patch := range map[string]string{"add-a-model.md": "exaone4.patch", "write-a-kernel.md": "soft-cap.patch",
		"add-a-setting.md": "beta2.patch", "add-a-data-format.md": "psv-format.patch"} {
		text, err := os.ReadFile(filepath.Join(home, page))
		if err != nil {
			t.Fatal(err)
		}
		diff, err := os.ReadFile(filepath.Join(home, "testdata", patch))
		if err != nil {
			t.Fatal(err)
		}
		var added strings.Builder
		for line := range strings.Lines(string(diff)) {
			if line, ok := strings.CutPrefix(line, "+"); ok {
				added.WriteString(line)
			}
		}
		blocks := regexp.MustCompile("(?ms)^```(?:go|glsl)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
		if len(blocks) < 3 {
			t.Errorf("%s: %d blocks of code, want 3 at least", page, len(blocks))
		}
		for _, b := range blocks {
			for part := range strings.SplitSeq(b[1], "\n\n") { // what lies between may be left out
				if !strings.Contains(added.String(), strings.Trim(part, "\n")+"\n") {
					t.Errorf("%s: not in %s:\n%s", page, patch, part)
				}
			}
		}
	}
}
