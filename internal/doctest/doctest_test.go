package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := parse("a.md", "# Title\n\nType `agora x` or\n\n```sh\n# a comment\nagora doctor   # another\n\nagora train --a b \\\n\t--c d\n```\n\n    agora's output\n\n"+
		"```go\nfmt.Println(\"agora no\")\n```\n```yaml\n# run.yaml\nlr: 1\n```\n```yaml\nlr: 2\n```\n```\nagora no\n```\n```sh\nls\n```\n```console\n$ agora x\nagora: no\n```\n")
	want := []step{
		{line: 7, text: "agora doctor   # another"},
		{line: 9, text: "agora train --a b \\\n\t--c d"},
		{line: 18, file: "run.yaml", text: "# run.yaml\nlr: 1\n"},
		{line: 29, text: "ls"},
		{line: 32, text: "agora x", shown: []string{"agora: no"}},
	}
	if err != nil || !reflect.DeepEqual(got.steps, want) {
		t.Errorf("got %+v, %v\nwant %+v", got.steps, err, want)
	}
	for text, want := range map[string]string{
		"x\n    agora doctor\n```sh\nls\n```\n": "a.md:2: want commands in ```sh blocks",
		"\tgo test ./...\n```sh\n```\n":         "a.md:1: want commands in ```sh blocks",
		"x\n```sh\nls\n":                        "a.md:2: want an end of this block",
		"x\n    agora doctor\n":                 "",
		"```\n    go test ./...\n```\n":         "",
	} {
		if _, err := parse("a.md", text); want == "" && err != nil ||
			want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	w := workplace{dir: dir, bin: filepath.Join(dir, "bin")}
	d := document{file: "a.md", steps: []step{
		{line: 1, text: "x: 1\n", file: "run.yaml"},
		{line: 3, text: "grep -q 'x: 1' run.yaml && test \"$GOBIN\" = \"${PATH%%:*}\" # the file is there, and what is installed is found"},
		{line: 4, text: "exit 9 # not run: a step of CI"},
		{line: 5, text: "echo printed; echo said >&2; exit 3"},
		{line: 6, text: "touch later"},
	}}
	for _, c := range []struct {
		text string
		want string
	}{
		{"echo one two (3); exit 1", ""}, // bash's own complaint about the bracket
		{"echo 'one two (3)'; exit 1", "a.md:7: "},
	} {
		shown := document{"a.md", []step{{line: 7, text: c.text, shown: []string{"one … (3)", "…", "syntax error"}}}}
		if _, err := shown.run(w, ""); (err == nil) != (c.want == "") ||
			err != nil && !(strings.HasPrefix(err.Error(), c.want) &&
				strings.HasSuffix(err.Error(), "want this line, too: syntax error")) {
			t.Errorf("%s: got %v, want %q", c.text, err, c.want)
		}
	}
	n, err := d.run(w, "step one\n\texit 9\n")
	if want := "a.md:5: echo printed; echo said >&2; exit 3\nprinted\nsaid\nexit status 3"; n != 1 || err == nil ||
		err.Error() != want {
		t.Errorf("%d commands and the error\n%v\nwant 1 and\n%s", n, err, want)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "later")); found != nil {
		t.Error("a command behind the one that failed was run")
	}
}
