package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// besideOf measures in turns with a shell's command.
func besideOf(t *testing.T, ctx context.Context, script string) (Beside, error) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	path := t.TempDir() + "/other.sh"
	if err := os.WriteFile(path, []byte(script), 0o666); err != nil {
		t.Fatal(err)
	}
	o := BesideOptions{Own: []string{"echo", `{"rate": 3}`}, Command: []string{"sh", path}, Pairs: 1, Rates: []string{"rate"}}
	return MeasureBeside(ctx, o, func(int, Pair) {})
}

// A program that hangs ends with the context, also where one that it has started holds its output.
func TestBesideProgramThatHangs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := besideOf(t, ctx, "sleep 30\nexit 1\n")
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
			t.Errorf("got %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it has not ended")
	}
}

// What a program leaves running, and holds its output, does not make it fail.
func TestBesideProgramThatLeavesAnother(t *testing.T) {
	b, err := besideOf(t, t.Context(), "sleep 3 &\necho '{\"rate\": 2}'\n")
	if err != nil || len(b.Rates) != 1 || b.Rates[0].Best != 1.5 {
		t.Errorf("got %+v, %v", b, err)
	}
}

// An error does not repeat a line without end.
func TestBesideProgramThatSaysMuch(t *testing.T) {
	_, err := besideOf(t, t.Context(), "yes | head -c 3000000 | tr -d '\\n' >&2\nexit 1\n")
	if err == nil || len(err.Error()) > 2*lineMost {
		t.Errorf("got an error of %d bytes", len(fmt.Sprint(err)))
	}
}

// Of what a program prints only the end is kept, and its last line counts.
func TestBesideProgramThatPrintsMuch(t *testing.T) {
	b, err := besideOf(t, t.Context(), "yes | head -c 40000000\necho\necho '{\"rate\": 2}'\n")
	if err != nil || len(b.Rates) != 1 || b.Rates[0].Best != 1.5 {
		t.Errorf("got %+v, %v", b, err)
	}
	var e ending
	for range 5 {
		e.Write(make([]byte, mostPrinted/2))
	}
	if e.Write([]byte("\n last ")); string(e.lastLine()) != " last" || e.text.Len() > mostPrinted || e.text.Cap() > 4*mostPrinted {
		t.Errorf("%d bytes of %d are kept, the last line %q", e.text.Len(), e.text.Cap(), e.lastLine())
	}
}

// What cannot be compared is said with what was printed; a name and memory may be missing.
func TestBesideProgramThatSaysOddThings(t *testing.T) {
	for says, want := range map[string]string{
		`{"rate": 5e-324}`:            "from 1e-100 to 1e+100, got 5e-324", // the ratio has no JSON
		`{"rate": 1e308}`:             "from 1e-100 to 1e+100, got 1e+308",
		`{"rates": {"rate": "fast"}}`: "field rate: want a positive number, got fast",
		`{"rate": null}`:              "field rate: want a positive number, got <nil>",
		`{"rate": 2, "trained": -1}`:  "field trained: want a positive number, got -1",
		`{"process_bytes": 1}`:        "field rate: want a positive number, got <nil>",
		`[{"rate": 2}]`:               "want JSON, got json: cannot unmarshal array",
	} {
		b, err := besideOf(t, t.Context(), "echo '"+says+"'\n")
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %+v, %v, want %q", says, b, err, want)
		}
	}
	b, err := besideOf(t, t.Context(), "echo '{\"name\": 7, \"rate\": 2, \"process_bytes\": 0, \"trained\": 0}'\n")
	if err != nil || b.Name != "sh" || len(b.Pairs) != 1 || len(b.Pairs[0].Other) != 1 {
		t.Errorf("got %+v, %v", b, err)
	}
}
