package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"

	"github.com/agora-ml/agora/internal/printable"
)

// BesideOptions say what is measured in turns with another program, so that both have the machine as it is then.
type BesideOptions struct {
	// Own is the command line of this program's measurement, that prints JSON.
	Own []string
	// Command is another program and its arguments. It reads Task, as JSON, and its last line of output is JSON: its
	// name, and the rates and the memory that Own prints by the same names; rates of many products are in a field rates.
	Command []string
	Task    any
	Pairs   int // of measurements
	// Rates are the names of what is compared: numbers of which more is better.
	Rates []string
}

// Beside is what two programs did in turns.
type Beside struct {
	Name  string `json:"name"` // of the other program
	Pairs []Pair `json:"pairs"`
	Rates []Rate `json:"rates"`
}

// Pair is a measurement of each.
type Pair struct {
	Own   map[string]float64 `json:"own"` // by the names of BesideOptions.Rates, of MemoryFields, and trained
	Other map[string]float64 `json:"other"`
}

// Rate is a rate over all pairs.
type Rate struct {
	Name   string  `json:"name"`
	Own    Spread  `json:"own"`
	Other  Spread  `json:"other"`
	Ratios Spread  `json:"ratios"` // of a pair, own by other
	Best   float64 `json:"best"`   // ratio of the best of each
}

// Spread is a median, and what it lies between.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) Spread {
	return Spread{median(slices.Clone(values)), slices.Min(values), slices.Max(values)}
}

// ending keeps the end of what a program prints: one that does not stop has no more of the memory than this.
type ending struct{ text bytes.Buffer }

const mostPrinted = 16 << 20

func (e *ending) Write(p []byte) (int, error) {
	e.text.Write(p)
	if n := e.text.Len() - mostPrinted; n > 0 {
		e.text.Next(n)
	}
	return len(p), nil
}

func (e *ending) lastLine() []byte {
	text := bytes.TrimSpace(e.text.Bytes())
	return text[bytes.LastIndexByte(text, '\n')+1:]
}

// MemoryFields are what both may print beside rates: the most memory of the process, and of the device with its pool; 0 says
// nothing, as none does.
var MemoryFields = [...]string{"process_bytes", "peak_pooled_bytes"}

// trainedField is how many numbers train, which must be as many in both where both print it.
const trainedField = "trained"

// MeasureBeside measures both in turns. Who begins a pair changes from one to the next. told is called after each.
func MeasureBeside(ctx context.Context, o BesideOptions, told func(pair int, p Pair)) (b Beside, err error) {
	task, err := json.Marshal(o.Task)
	if err != nil {
		return b, err
	}
	for i := range o.Pairs {
		var p Pair
		own := func() (err error) {
			p.Own, _, err = o.measure(ctx, exec.CommandContext(ctx, o.Own[0], o.Own[1:]...), nil)
			return err
		}
		other := func() (err error) {
			c := exec.CommandContext(ctx, o.Command[0], o.Command[1:]...)
			p.Other, b.Name, err = o.measure(ctx, c, task)
			return err
		}
		turns := []func() error{own, other}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return b, err
			}
		}
		if a, b := p.Own[trainedField], p.Other[trainedField]; b > 0 && a != b {
			return Beside{}, fmt.Errorf("--beside: want %.0f numbers that train, as here, got %.0f: another model", a, b)
		}
		b.Pairs = append(b.Pairs, p)
		told(i, p)
	}
	for _, name := range o.Rates {
		var own, other, ratios []float64
		for _, p := range b.Pairs {
			own, other = append(own, p.Own[name]), append(other, p.Other[name])
			ratios = append(ratios, p.Own[name]/p.Other[name])
		}
		r := Rate{Name: name, Own: spreadOf(own), Other: spreadOf(other), Ratios: spreadOf(ratios)}
		r.Best = r.Own.Max / r.Other.Max
		b.Rates = append(b.Rates, r)
	}
	return b, nil
}

// least is the smallest rate, in any unit, that is taken for one.
const least = 1e-100

// lineMost is the most bytes of what a program says last that an error repeats.
const lineMost = 1000

// measure runs a command and reads the rates that it prints.
func (o *BesideOptions) measure(ctx context.Context, c *exec.Cmd, task []byte) (map[string]float64, string, error) {
	var out, said ending
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(task), &out, &said
	c.WaitDelay = time.Second // what it has started may live on, and hold its output
	endTogether(c)
	bad := func(err error) (map[string]float64, string, error) {
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		if line := said.lastLine(); len(line) > 0 {
			err = fmt.Errorf("%w: %s", err, printable.Name(string(line[max(0, len(line)-lineMost):])))
		}
		return nil, "", fmt.Errorf("%s: %w", printable.Name(c.Args[0]), err)
	}
	if err := c.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) { // it succeeded, but what it has started holds its output
		return bad(err)
	}
	text := out.text.Bytes()
	if task != nil {
		text = out.lastLine()
	}
	var all map[string]any
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&all); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("nothing")
		}
		return bad(fmt.Errorf("want JSON, got %w", err))
	}
	rates := map[string]float64{}
	listed, _ := all["rates"].(map[string]any)
	for _, name := range append(append(slices.Clone(o.Rates), MemoryFields[:]...), trainedField) {
		field, there := all[name]
		if !there {
			field = listed[name]
		}
		x, ok := field.(float64)
		if (!ok || x == 0) && !slices.Contains(o.Rates, name) {
			continue
		}
		if !ok || !(x > 0) {
			return bad(fmt.Errorf("field %s: want a positive number, got %v", name, field))
		}
		if x < least || x > 1/least { // a ratio of two would be no number that JSON has
			return bad(fmt.Errorf("field %s: want a number from %g to %g, got %g", name, least, 1/least, x))
		}
		rates[name] = x
	}
	name, _ := all["name"].(string)
	if name == "" {
		name = c.Args[0]
	}
	return rates, name, nil
}
