package main

import (
	"slices"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	for text, want := range map[string][]string{
		"python3 a.py --x=1,2":              {"python3", "a.py", "--x=1,2"},
		" \tsh  'my file.sh'\n":             {"sh", "my file.sh"},
		`sh --name="it's, here" ''`:         {"sh", "--name=it's, here", ""},
		`"C:\Program Files\a.exe" C:\b\ 'c`: nil,
		`"C:\Program Files\a.exe" C:\b\ c`:  {`C:\Program Files\a.exe`, `C:\b\`, "c"},
	} {
		var c commandLine
		if err := c.Set(text); (err != nil) != (want == nil) || !slices.Equal(c, want) {
			t.Errorf("%s: got %q, %v, want %q", text, c, err, want)
		}
	}
	var c commandLine
	for _, empty := range []string{"", " ", "''", `"" a`} {
		var c commandLine
		if err := c.Set(empty); err == nil || !strings.Contains(err.Error(), "want a command, got none") {
			t.Errorf("%q: got %q, %v", empty, c, err)
		}
	}
	if err := c.Set("a b"); err != nil {
		t.Fatal(err)
	}
	if err := c.Set("c"); err == nil || !strings.Contains(err.Error(), "want one command, got a b as well") {
		t.Errorf("a second command: got %v", err)
	}
}
