package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What unpacks to far too much, or to more than there is room for, is refused before it has
// cost memory; the setting that allows more does.
func TestBudget(t *testing.T) {
	dir := t.TempDir()
	pack := func(name, head, filler string, fillers int) string {
		t.Helper()
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write([]byte(head))
		for range fillers {
			if err == nil {
				_, err = w.Write([]byte(filler))
			}
		}
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const mib = 1 << 20
	row := `{"text":"a"}` + "\n"
	zeros := pack("zeros.txt.gz", "", string(make([]byte, mib)), 24)
	spaces := pack("spaces.jsonl.gz", row, strings.Repeat(" ", mib), 24)
	rows := pack("rows.jsonl.gz", "", strings.Repeat(row, mib/len(row)), 1)
	sparse, document := filepath.Join(dir, "sparse.jsonl"), filepath.Join(dir, "sparse.txt")
	for _, path := range []string{sparse, document} {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 1<<40); err != nil {
			t.Skipf("no sparse files here: %v", err)
		}
	}
	const unpacks, most = "want text that unpacks to at most 200 times its size, got ", "--max-data-bytes allows more"
	for _, c := range []struct {
		path string
		max  int
		want string // "": none
	}{
		{zeros, 0, unpacks}, {spaces, 0, "row 2 (line 2): " + unpacks}, {spaces, 25 * mib, ""},
		{spaces, 10 * mib, "row 2 (line 2): want at most 10485760 bytes of rows in all"},
		{rows, 0, ""}, {rows, 30 * mib, ""}, {rows, 2 * mib,
			"want at most 2097152 bytes of rows in all, unpacked and 256 more for each of them, got more: " + most},
		{sparse, 0, most}, {sparse, mib, most}, {document, 0,
			"want at most 1073741824 bytes of text in a file, got 1099511627776"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read, _, err := Read(t.Context(), []string{c.path}, ReadOptions{MaxBytes: c.max})
		runtime.ReadMemStats(&after)
		if c.want == "" && (err != nil || len(read) == 0) ||
			c.want != "" && (err == nil || !strings.Contains(err.Error(), c.path) ||
				!strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s of at most %d bytes: %d rows, error %v, want %q", filepath.Base(c.path), c.max, len(read),
				err, c.want)
		}
		if n := (after.TotalAlloc - before.TotalAlloc) >> 20; c.want != "" && n > 100 {
			t.Errorf("%s of at most %d bytes: %d MiB allocated", filepath.Base(c.path), c.max, n)
		}
	}
	// All files together.
	if _, _, err := Read(t.Context(), []string{rows, rows}, ReadOptions{MaxBytes: 30 * mib}); err == nil ||
		!strings.Contains(err.Error(), most) {
		t.Errorf("two files: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Read(ctx, []string{rows}, ReadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}
