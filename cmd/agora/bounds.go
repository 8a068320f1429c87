package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// bound is what a numeric flag takes.
type bound struct {
	least, most float64
	// generous says that most is only more than anybody means, and would overflow something or
	// never end.
	generous bool
}

// Bounds that many flags have. Counts stay well within 32 bits, rates and times within f32.
var (
	counts = bound{1, 1 << 30, true}
	upTo   = bound{0, 1 << 30, true}
	share  = bound{0, 1, false}
	rates  = bound{0, 1e30, true}
	any64  = bound{0, math.MaxUint64, true}
)

// bounds are those of the numeric flags of every command, by its path and the flag, or by the flag
// alone. Settings of a run have theirs in package train, and --memory-limit in its own type.
var bounds = map[string]bound{
	"threads": {0, 1 << 16, true}, // cpu.Options has a narrower one
	"seed":    any64,
	"pairs":   counts,

	"analyze directions":        {1, 4096, false},
	"bench dispatch dispatches": counts,
	"bench dispatch rounds":     counts,
	"bench gemm rounds":         counts,
	"bench gemm round":          {0, float64(24 * time.Hour), true},
	"bench gemm peak":           rates,
	"bench gemm bandwidth":      rates,
	"bench generate prompt":     counts,
	"bench generate tokens":     {2, 1 << 20, true},
	"bench generate rows":       counts,
	"bench generate modules":    {0, 1 << 16, false},
	"bench generate rank":       {1, 1 << 16, false},
	"bench generate rounds":     counts,
	"bench network rounds":      counts,
	"bench step steps":          counts,
	"bench step warm-up":        counts,
	"bench step seconds":        rates,
	"bench step peak":           rates,
	"compare jobs":              {0, 1024, true},
	"data preview rows":         {0, 1 << 20, true},
	"demo steps":                counts,
	"eval batch-tokens":         {1, 1 << 24, false},
	"eval limit":                upTo,
	"eval shots":                upTo,
	"eval window":               upTo,
	"plan bandwidth":            rates,
	"plan compute":              rates,
	"plan network":              rates,
	"plan processes":            {1, 1 << 16, true},

	"merge-adapters rank":    {0, 1 << 16, false},
	"merge-adapters density": share,

	"generate max-tokens": counts,
	"generate top-k":      upTo,
	"generate top-p":      share,
	"generate min-p":      share,
	// The logits of a hundred times the temperature are all alike in f32, and a penalty so large
	// leaves nothing to draw from.
	"generate temperature":        {0, 100, false},
	"generate repetition-penalty": {0.01, 100, false},

	"tokenizer train coverage":  share,
	"tokenizer train max-piece": {1, 1024, false},
	"tokenizer train vocab":     {1, 1 << 24, true},
	"verify-resume cuts":        counts,
	"verify-resume save-every":  counts,
	"verify-resume steps":       counts,
}

// boundOf finds the bound of a command's flag.
func boundOf(c *cobra.Command, f *pflag.Flag) (b bound, ok bool) {
	_, path, _ := strings.Cut(c.CommandPath(), " ")
	if b, ok = bounds[path+" "+f.Name]; !ok {
		b, ok = bounds[f.Name]
	}
	return b, ok
}

// numberOf is the value of a numeric flag of a plain type.
func numberOf(f *pflag.Flag) (x float64, ok bool) {
	text := f.Value.String()
	switch f.Value.Type() {
	case "int", "uint64", "float32", "float64":
		x, err := strconv.ParseFloat(text, 64)
		return x, err == nil
	case "duration":
		d, err := time.ParseDuration(text)
		return float64(d), err == nil
	}
	return 0, false
}

// checkBounds returns an error for the first numeric flag out of its bounds, before the command begins.
func checkBounds(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		b, ok := boundOf(c, f)
		if x, isNumber := numberOf(f); err == nil && ok && isNumber && !(x >= b.least && x <= b.most) {
			err = b.error(c, f, x)
		}
	})
	return err
}

func (b bound) error(c *cobra.Command, f *pflag.Flag, got float64) error {
	spell := func(x float64) string {
		if f.Value.Type() == "duration" {
			return time.Duration(x).String()
		}
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return strconv.FormatFloat(x, 'f', -1, 64)
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	want := spell(b.least) + " to " + spell(b.most)
	switch {
	case !b.generous:
	case got > b.most:
		want = "at most " + spell(b.most)
	default:
		want = "at least " + spell(b.least)
	}
	if c.HasParent() && c.Parent().Name() == "bench" {
		return fmt.Errorf("--%s: want %s, got %s", f.Name, want, f.Value)
	}
	return fmt.Errorf("--%s %s: want %s", f.Name, f.Value, want)
}
