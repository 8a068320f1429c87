package main

import (
	"math"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
)

// Rounding changes what quantized weights predict by a little, and nothing else. Where the processor cannot,
// nothing is rounded, and a line says so.
func TestRoundActivations(t *testing.T) {
	model, _ := realModel(t)
	text := textFile(t, strings.Repeat("Once upon a time there was a little cat. She liked to play in the sun with her ball. ", 9))
	rounds := cpu.Describe().Integers != ""
	for dtype, quantized := range map[string]bool{"q8": true, "q4": true, "bf16": false} {
		args := []string{"eval", "--task", "perplexity", "--model", model, "--text", text, "--dtype", dtype, "--device", "cpu", "--json"}
		exact := mustJSON[evaluation](t, args[:len(args)-1]...)
		rounded := mustJSON[evaluation](t, append(args[:len(args)-1:len(args)-1], "--round-activations")...)
		switch d := math.Abs(rounded.NLL - exact.NLL); {
		case quantized && rounds && (d == 0 || d > 0.02):
			t.Errorf("%s: nll %v rounded, %v exact: want a difference, of 0.02 at most", dtype, rounded.NLL, exact.NLL)
		case !(quantized && rounds) && d != 0:
			t.Errorf("%s: nll %v with --round-activations, %v without: want the same", dtype, rounded.NLL, exact.NLL)
		}
		_, _, said := agora(t, append(args, "--round-activations")...)
		if strings.Contains(said, "nothing is rounded") == rounds {
			t.Errorf("%s: said %q where the processor rounds: %t", dtype, said, rounds)
		}
	}
}
