package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every conversion to 16-bit floats that a kernel stores rounds to nearest, once said; no other may say how.
func TestStoredHalvesRoundToNearest(t *testing.T) {
	files, err := filepath.Glob("../../internal/kernels/spv/*.spv")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	total := 0
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all, err := words(code)
		if err != nil {
			t.Fatal(file, err)
		}
		narrow, rounds, stored := map[uint32]bool{}, map[uint32]int{}, map[uint32]bool{}
		for op, line := range instructions(all) {
			switch {
			case op == opTypeFloat && line[2] == 16, op == opTypeVector && narrow[line[2]]:
				narrow[line[1]] = true
			case op == opDecorate && line[2] == decorationFPRoundingMode:
				rounds[line[1]]++
				if line[3] != roundingModeRTE {
					t.Errorf("%s: %%%d rounds by mode %d", file, line[1], line[3])
				}
			case op == opFConvert && narrow[line[1]]:
				stored[line[2]] = false
			case op == opStore:
				if _, ok := stored[line[2]]; ok {
					stored[line[2]] = true
				}
			}
		}
		for id, is := range stored {
			if n := rounds[id]; is && n != 1 || !is && n != 0 {
				t.Errorf("%s: conversion %%%d, stored: %v, has %d roundings", file, id, is, n)
			}
			delete(rounds, id)
			total++
		}
		if len(rounds) > 0 {
			t.Errorf("%s: what rounds is no conversion to 16 bits: %v", file, rounds)
		}
	}
	if total < 50 {
		t.Errorf("%d conversions in all kernels: want those of every kernel that stores floats", total)
	}
	if _, err := withRounding([]byte("not SPIR-V, but long enough to be")); err == nil || !strings.Contains(err.Error(), "SPIR-V") {
		t.Errorf("%v, want it to name SPIR-V", err)
	}
}
