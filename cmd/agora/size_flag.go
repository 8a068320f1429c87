package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// memorySize is a flag's amount of memory in bytes: a number of MiB, or one with a unit.
type memorySize int

const (
	mostMemory      = 1 << 50 // bytes: more than any machine has, and sums with it cannot overflow
	memorySizeUsage = "in MiB, or with a unit: 500M, 1.5G"
)

// units are powers of 1024, as the system counts memory.
var units = map[string]float64{"": 1 << 20, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

// Set implements pflag.Value.
func (s *memorySize) Set(text string) error {
	plain := strings.ToLower(strings.TrimSpace(text))
	digits := strings.TrimRight(plain, "kmgtib")
	unit := strings.TrimSuffix(strings.TrimSuffix(plain[len(digits):], "b"), "i")
	factor, ok := units[unit]
	n, err := strconv.ParseFloat(digits, 64)
	bytes := n * factor
	if !ok || err != nil || strings.ContainsAny(digits, "xpein_") || !(bytes >= 0) || n > 0 && bytes < 1 {
		return fmt.Errorf("want an amount of memory %s", memorySizeUsage)
	}
	if bytes > mostMemory {
		return fmt.Errorf("want at most %d MiB", mostMemory>>20)
	}
	*s = memorySize(math.Round(bytes))
	return nil
}

// String implements pflag.Value.
func (s *memorySize) String() string {
	if *s%(1<<20) == 0 {
		return strconv.Itoa(int(*s >> 20))
	}
	return fmt.Sprintf("%gM", float64(*s)/(1<<20))
}

// Type implements pflag.Value.
func (s *memorySize) Type() string { return "size" }
