package train

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/hostmemory"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/tensor"
)

// DoesNotFitError is a run that needs more memory than there is.
type DoesNotFitError struct {
	Need, Available int      // bytes: of the device's memory, or of the process's
	By              string   // what allows the process no more; "" where the device's memory is too small
	Changes         []Change // of the settings, each by itself, and at last as many together as it takes
}

// Room is the memory that there is for a run, in bytes; 0 is unknown.
type Room struct {
	Device  int    // for tensors
	Process int    // for all of a process whose tensors lie in its own memory
	By      string // what allows the process no more
}

// RoomOn is the memory that there is for a run on a device now.
func RoomOn(d *tensor.Device) Room {
	r := Room{Device: d.Stats().Limit}
	if d.KeepsScratch() {
		if left := hostmemory.Available(); left.Known() {
			r.Process, r.By = left.Bytes+left.Own, left.By
		}
	}
	return r
}

// Change is another value of a setting, or several, and what the run would then need.
type Change struct {
	Settings []string `json:"settings"` // "dtype: bf16", as in a YAML file
	Need     int      `json:"need"`     // bytes
}

func (e *DoesNotFitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the run needs %s of memory, %s is available", bytesText(e.Need), bytesText(e.Available))
	if e.By != "" {
		fmt.Fprintf(&b, " in %s for the process with its program and data", e.By)
	}
	b.WriteString("; with other settings:")
	for _, c := range e.Changes {
		fits := "too much"
		if c.Need <= e.Available {
			fits = "fits"
		}
		fmt.Fprintf(&b, "\n  %10s  %-8s  %s", bytesText(c.Need), fits, strings.Join(c.Settings, ", "))
	}
	return b.String()
}

// Need is what the device must be able to give: tensors and scratch memory.
func (p Plan) Need() int { return p.Peak + p.Scratch }

// beside is what the process needs beside Need: the program and the data.
func (p Plan) beside() int { return p.besideTensors - p.Scratch }

// Fits tells whether the run can be made in this room. If it cannot, the error is a
// *DoesNotFitError.
func (p Plan) Fits(room Room) error {
	fits := func(available int) bool { return available == 0 || p.Need() <= available }
	switch {
	case !fits(room.Device):
		return p.doesNotFit(room.Device, 0, "")
	case room.Process > 0 && p.Need()+p.beside() > room.Process:
		return p.doesNotFit(room.Process, p.beside(), room.By)
	}
	return nil
}

// doesNotFit says what would help a run that needs so much beside its tensors.
func (p Plan) doesNotFit(available, beside int, by string) error {
	e := &DoesNotFitError{Need: p.Need() + beside, Available: available, By: by}
	fits := false
	for _, c := range p.changes() {
		cfg := p.config
		c.apply(&cfg)
		if need, ok := p.with(cfg); ok {
			e.Changes = append(e.Changes, Change{[]string{c.String()}, need + beside})
			fits = fits || need+beside <= available
		}
	}
	if !fits {
		if all := p.together(available - beside); len(all.Settings) > 1 {
			all.Need += beside
			e.Changes = append(e.Changes, all)
		}
	}
	return e
}

// together makes one change after the other, each if it helps, until the run fits.
func (p Plan) together(available int) Change {
	cfg, need := p.config, p.Need()
	var made []change
	for _, c := range p.changes() {
		more := cfg
		c.apply(&more)
		n, ok := p.with(more)
		if !ok || n >= need {
			continue
		}
		made = slices.DeleteFunc(made, func(old change) bool { return old.name == c.name })
		cfg, need, made = more, n, append(made, c)
		if need <= available {
			break
		}
	}
	all := Change{Need: need}
	for _, c := range made {
		all.Settings = append(all.Settings, c.String())
	}
	return all
}

// with is what the run would need with other settings; ok is false if they cannot be.
func (p Plan) with(cfg Config) (need int, ok bool) {
	other, r, err := newPlan(cfg, p.options)
	if err != nil {
		return 0, false
	}
	r.trainer.Device.Close()
	return other.Need(), true
}

// change is a change of a setting that saves memory.
type change struct {
	name, value string
	apply       func(*Config)
}

func (c change) String() string { return c.name + ": " + c.value }

// changes are those worth trying, the one that costs least first.
func (p Plan) changes() (all []change) {
	add := func(name string, value any, apply func(*Config)) {
		all = append(all, change{name, fmt.Sprint(value), apply})
	}
	cfg := p.config
	if rows := cfg.BatchRows; rows > 1 {
		add("batch-rows", fmt.Sprintf("1, accumulate: %d", rows*cfg.Accumulate), func(c *Config) {
			c.BatchRows, c.Accumulate = 1, rows*c.Accumulate
		})
	}
	if !cfg.Checkpointing {
		add("gradient-checkpointing", true, func(c *Config) { c.Checkpointing = true })
	}
	store := func(dt tensor.DType, compute string) { // compute "": as it is
		text := dt.String()
		if compute != "" {
			text += ", compute-dtype: " + compute
		}
		add("dtype", text, func(c *Config) { c.DType, c.ComputeDType = dt, cmp.Or(compute, c.ComputeDType) })
	}
	half := tensor.BF16.String()
	quantized := cfg.DType.IsQuantized() || slices.ContainsFunc(p.stored, tensor.DType.IsQuantized)
	dt := cfg.DType
	if !quantized { // auto may have made it another
		dt = p.activations
	}
	switch {
	case cfg.full() && dt == tensor.F32:
		store(tensor.BF16, "")
	case cfg.full():
	case !quantized && dt == tensor.F32:
		store(tensor.BF16, "")
		store(tensor.Q8, half)
		store(tensor.Q4, half)
	case dt.Is16Bit():
		store(tensor.Q8, dt.String())
		store(tensor.Q4, dt.String())
	default:
		if p.activations == tensor.F32 {
			add("compute-dtype", half, func(c *Config) { c.ComputeDType = half })
		}
		if dt == tensor.Q8 {
			store(tensor.Q4, "")
		}
	}
	if cfg.full() && cfg.FromScratch == "" {
		add("method", multilora.MethodMultiLoRA, func(c *Config) {
			c.Adapter.Method, c.Adapter.Modules = multilora.MethodMultiLoRA, 0
		})
	}
	if p.Processes > 1 && cfg.Shard != ShardWeights && !cfg.full() {
		add("shard", ShardWeights, func(c *Config) { c.Shard = ShardWeights })
	}
	if p.Processes > 1 && cfg.Shard == ShardNothing && cfg.full() {
		add("shard", ShardOptimizer, func(c *Config) { c.Shard = ShardOptimizer })
	}
	if offload := cfg.Offload != OffloadWeights && cfg.Shard != ShardWeights && !cfg.full(); offload {
		more := cfg
		more.Offload = OffloadWeights
		if need, ok := p.with(more); ok && need < p.Need() { // a file in another type leaves nothing where it is
			add("offload", OffloadWeights, func(c *Config) { c.Offload = OffloadWeights })
		}
	}
	if half := p.Tokens / 2; half >= 64 {
		add("max-tokens", half, func(c *Config) { c.MaxTokens = half })
	}
	return all
}

// bytesText is a size for people.
func bytesText(n int) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// String is the plan for people, a few lines.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nat most %d tokens a step: %d × %d rows of %d\n",
		p.About, p.Step, p.config.Accumulate, p.Rows, p.Tokens)
	line := func(name string, bytes int, note string) {
		fmt.Fprintf(&b, "  %-12s %10s  %s\n", name, bytesText(bytes), note)
	}
	k := p.Memory
	how := "in " + typeNames(p.stored)
	if p.Gathered > 0 {
		how += fmt.Sprintf(", a part of %d of every block and two whole ones", p.Processes)
	}
	if p.Offloaded > 0 && p.options.GPU {
		how += ", of the blocks two"
	}
	line("weights", k.Weights, how)
	if k.Adapters > 0 {
		line("adapters", k.Adapters, "")
	}
	line("gradients", k.Gradients, "")
	how = ""
	if p.Processes > 1 && p.config.Shard == ShardOptimizer {
		how = fmt.Sprintf("a part of %d of all", p.Processes)
	}
	line("moments", k.Moments, how)
	line("activations", k.Activations, fmt.Sprintf("in %s", p.activations))
	line("logits", k.Logits, "")
	line("peak", p.Peak, "of tensors, the sum of these")
	line("reserve", p.Reserve, "freed, for rows of other lengths")
	if !p.options.GPU {
		line("scratch", p.Scratch, "of the CPU's kernels")
		line("process", p.Process, "with the program and its data")
	}
	if p.Offloaded > 0 {
		line("offloaded", p.Offloaded, "of weights in the file, and not in the memory above")
		line("brought", p.Brought, p.broughtNote())
	}
	if p.Staging > 0 {
		line("staging", p.Staging, "of the host's memory, unless the device shares it: two blocks on their way")
	}
	if p.Gathered > 0 {
		line("network", p.Gathered, fmt.Sprintf("of weights that each of %d processes receives a step", p.Processes))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// broughtNote says what Plan.Brought is.
func (p Plan) broughtNote() string {
	if p.options.GPU {
		return "of them to the device in a step"
	}
	return "of them read in a step, from the disk where the memory has not kept them"
}
