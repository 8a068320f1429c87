package main

import (
	"os"
	"testing"
)

func TestReferenceIsWritten(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != reference() {
		t.Error("docs/configuration.md is not as the settings are: make docs")
	}
}
