// Package realdata finds the folder of real data sets, tokenizers and models that some
// tests run on.
package realdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Folder is AGORA_DATA. Without it the test is skipped, or fails if
// AGORA_REQUIRE_DATA=1.
func Folder(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("AGORA_DATA")
	if dir == "" && os.Getenv("AGORA_REQUIRE_DATA") == "1" {
		t.Fatal("AGORA_DATA is not set, and AGORA_REQUIRE_DATA=1 wants it")
	}
	if dir == "" {
		t.Skip("AGORA_DATA is not set")
	}
	return dir
}

// Golden lists the files of AGORA_GOLDEN that match a pattern. Without any the test is skipped,
// or fails if AGORA_REQUIRE_DATA=1.
func Golden(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(os.Getenv("AGORA_GOLDEN"), pattern))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case len(files) > 0:
	case os.Getenv("AGORA_REQUIRE_DATA") == "1":
		t.Fatalf("AGORA_GOLDEN (%q) has no %s, and AGORA_REQUIRE_DATA=1 wants them", os.Getenv("AGORA_GOLDEN"), pattern)
	default:
		t.Skipf("AGORA_GOLDEN (%q) has no %s", os.Getenv("AGORA_GOLDEN"), pattern)
	}
	return files
}
