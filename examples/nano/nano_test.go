package main

import (
	"math"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/testdevice"
)

// The loss falls to well below the characters' own entropy: the model sees what is before them.
func TestLearnsItsSource(t *testing.T) {
	loss, sample, err := run(testdevice.Open(t, 2), source, 120)
	if err != nil {
		t.Fatal(err)
	}
	vocab, tokens := tokenize(source)
	counts, entropy := make([]float64, len(vocab)), 0.0
	for _, c := range tokens {
		counts[c]++
	}
	for _, n := range counts {
		entropy -= n / float64(len(tokens)) * math.Log(n/float64(len(tokens)))
	}
	if !(loss < entropy-0.5) {
		t.Errorf("loss %g after 120 steps, want below %g - 0.5", loss, entropy)
	}
	if n := len([]rune(sample)); n != 301 {
		t.Errorf("a sample of %d characters, want 301: %q", n, sample)
	}
	for _, c := range sample {
		if !strings.ContainsRune(string(vocab), c) {
			t.Errorf("the sample has %q, which the text has not", c)
		}
	}
}

func TestTextTooShort(t *testing.T) {
	if _, _, err := run(testdevice.Open(t, 2), "short", 1); err == nil ||
		!strings.Contains(err.Error(), "5 characters, want more than 64") {
		t.Errorf("error %v", err)
	}
}

func TestOneFileOfAtMost250Lines(t *testing.T) {
	if n := strings.Count(source, "\n"); n > 250 {
		t.Errorf("main.go has %d lines", n)
	}
}
