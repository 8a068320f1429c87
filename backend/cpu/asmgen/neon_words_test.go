package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestNEONWords has binutils disassemble every instruction with other registers: Debian's package
// binutils-aarch64-linux-gnu.
func TestNEONWords(t *testing.T) {
	objdump, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil && os.Getenv("AGORA_REQUIRE_BINUTILS") == "1" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	f := newFileFor("arm64", "", "")
	for name := range neonWords {
		two := []string{"V3", "V18"}
		if neonSources(name) == 2 {
			two = append(two, "V29")
		}
		f.Word(name, two...)
	}
	written := regexp.MustCompile(`WORD \$(\S+) // (.*)`).FindAllStringSubmatch(f.asm.String(), -1)
	var code []byte
	for _, w := range written {
		word, err := strconv.ParseUint(w[1], 0, 32)
		if err != nil {
			t.Fatal(err)
		}
		code = binary.LittleEndian.AppendUint32(code, uint32(word))
	}
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, code, 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	read := regexp.MustCompile(`(?m)^ *[0-9a-f]+:\t[0-9a-f]+ \t(.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(read) != len(neonWords) || len(written) != len(neonWords) {
		t.Fatalf("%d instructions were written and %d read, want %d", len(written), len(read), len(neonWords))
	}
	for i, r := range read {
		if got := strings.ReplaceAll(strings.TrimSpace(r[1]), "\t", " "); got != written[i][2] {
			t.Errorf("%s is %q, want %q", written[i][1], got, written[i][2])
		}
	}
}

// neonSources is the number of sources of an instruction; one that changes the shape has one.
func neonSources(name string) int {
	switch op, shapes, _ := strings.Cut(name, " "); op {
	case "fabs", "fneg", "fsqrt", "scvtf", "mvn", "fcvtns":
		return 1
	case "sdot", "smmla", "bfmmla":
		return 2
	default:
		return map[bool]int{true: 1, false: 2}[strings.Contains(shapes, " ")]
	}
}
