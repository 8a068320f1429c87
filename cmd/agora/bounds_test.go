//go:build unix

package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/agora-ml/agora/train"
)

// numericFlags calls f for each numeric flag of each command.
func numericFlags(f func(c *cobra.Command, flag *pflag.Flag)) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(func(flag *pflag.Flag) {
			if !slices.Contains([]string{"bool", "string", "command", "list", "strings", "stringSlice", "stringArray"},
				flag.Value.Type()) {
				f(c, flag)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(command())
}

// Every numeric flag of every command has bounds, and refuses by its name what is beside them,
// before the command touches anything.
func TestEveryNumberHasBounds(t *testing.T) {
	w := workshop(t)
	tried := 0
	numericFlags(func(c *cobra.Command, f *pflag.Flag) {
		_, path, _ := strings.Cut(c.CommandPath(), " ")
		name := path + " --" + f.Name
		var bad []string
		switch setting, isSetting := f.Value.(*train.Setting); {
		case isSetting:
			least, most := setting.Least, setting.Most
			if least >= most || !setting.IsNumber() {
				t.Errorf("%s: a number without a range", name)
				return
			}
			bad = beside(least, most, f.Value.Type() == "number", f.Name == "seed")
		case f.Value.Type() == "size":
			bad = []string{"-1", "NaN", "1e300", "99999999999999999999"}
		default:
			b, ok := boundOf(c, f)
			if !ok {
				t.Errorf("%s: a number without bounds", name)
				return
			}
			switch f.Value.Type() {
			case "duration":
				bad = []string{"-1ns", "NaN", "25h"}
			default:
				bad = beside(b.least, b.most, strings.HasPrefix(f.Value.Type(), "float"), b == any64)
			}
		}
		for _, value := range bad {
			args := filled(w, every[path], filepath.Join(t.TempDir(), "new"))
			args = append(args, "--"+f.Name+"="+value)
			code, _, stderr := agora(t, args...)
			named := strings.Contains(stderr, "--"+f.Name)
			if code != 1 || !named || !strings.Contains(stderr, "want") &&
				!strings.Contains(stderr, "invalid argument") {
				t.Errorf("agora %v: exit code %d, want 1 and an error that names %s, got\n%s", args, code, f.Name,
					stderr)
			}
			tried++
		}
	})
	t.Logf("%d values refused", tried)
}

// beside are values that a bound does not take.
func beside(least, most float64, real, seed bool) []string {
	bad := []string{"x", ""}
	if real {
		bad = append(bad, "NaN", "Inf", "-Inf", "1e400", fmt.Sprint(least-1e-3),
			fmt.Sprint(math.Nextafter32(float32(most), math.MaxFloat32)*1.5))
		return bad
	}
	if seed {
		return append(bad, "-1", "18446744073709551616", "1.5")
	}
	return append(bad, fmt.Sprintf("%.0f", least-1), fmt.Sprintf("%.0f", most+1), "9223372036854775807",
		"9223372036854775808", "1.5")
}

// The same in a file names the setting.
func TestBoundsOfAFile(t *testing.T) {
	w := workshop(t)
	for text, want := range map[string]string{
		"warmup-steps: -2":                   "warmup-steps: want at least -1, got -2",
		"epochs: 1e18":                       "epochs: want at most 1000000, got 1e+18",
		"alpha: 1e300":                       "alpha: want at most 1000000, got 1e+300",
		"lr: 1e300":                          "lr: want at most 3.4028234663852886e+38, got 1e+300",
		"lr: .nan":                           `lr: want a number, got ".nan"`,
		"clip-norm: .inf":                    `clip-norm: want a number, got ".inf"`,
		"dropout: 1":                         "field dropout: want at least 0 and below 1, got 1",
		"steps: 4294967296":                  "steps: want at most 4294967295, got 4294967296",
		"{steps: 4294967295, accumulate: 2}": "steps: want at most 4294967295 micro-batches in all",
		"{lr: 1e30, scale-lr: 1e30}":         "scale-lr: want a product with lr that f32 holds",
		"rank: -1":                           "rank: want at least 1, got -1",
		"weight-decay: -1":                   "weight-decay: want a finite number of at least 0, got -1",
	} {
		args := append(filled(w, every["train"], filepath.Join(t.TempDir(), "new")), textFile(t, text+"\n"))
		args = slices.DeleteFunc(args, func(a string) bool { return a == "--steps" || a == "2" })
		if code, _, stderr := agora(t, args...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, want %q in\n%s", text, code, want, stderr)
		}
	}
}
