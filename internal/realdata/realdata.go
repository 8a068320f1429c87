// Package realdata finds the folder of real data sets, tokenizers and models that some
// tests run on.
package realdata

import (
	"os"
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
