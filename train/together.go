package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/tensor"
)

// gather gives the values of all micro-batches, of which values are this process's: losses, and with Tasks as many
// times those of tokens behind them all.
func (t *Trainer) gather(values [][]float64) (all [][]float64, err error) {
	if t.Tasks == 0 {
		return joined(t.processes(), values)
	}
	n := len(values) / 2
	if all, err = joined(t.processes(), values[:n]); err != nil {
		return nil, err
	}
	tokens, err := joined(t.processes(), values[n:])
	return append(all, tokens...), err
}

// joined are the lists of all processes, in their order.
func joined(w dist.World, own [][]float64) (all [][]float64, err error) {
	if w.Size() == 1 {
		return own, nil
	}
	parts, err := w.AllGather(encode(own))
	if err != nil {
		return nil, err
	}
	for rank, part := range parts {
		theirs, err := decode(part)
		if err != nil {
			return nil, fmt.Errorf("process %d: want its numbers: %w", rank, err)
		}
		all = append(all, theirs...)
	}
	return all, nil
}

// encode writes lists of numbers, each behind its length.
func encode(values [][]float64) []byte {
	var b bytes.Buffer
	for _, v := range values {
		_ = binary.Write(&b, binary.LittleEndian, uint32(len(v))) // a Buffer takes everything
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	return b.Bytes()
}

func decode(text []byte) (values [][]float64, err error) {
	b := bytes.NewReader(text)
	for b.Len() > 0 {
		var n uint32
		if err := binary.Read(b, binary.LittleEndian, &n); err != nil {
			return nil, err
		}
		v := make([]float64, min(int(n), b.Len())) // a length that is too large is an error of the next line
		if int(n) != len(v) {
			return nil, fmt.Errorf("want %d numbers, got %d bytes", n, b.Len())
		}
		if err := binary.Read(b, binary.LittleEndian, v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// losses are the sums of the losses of the counted tokens of each batch. The processes take turns with them.
func (t *Trainer) losses(ctx context.Context, batches []data.Batch) ([]float64, error) {
	w := t.processes()
	own := make([]float64, 0, len(batches))
	turns := len(batches)
	if t.shards != nil { // all take as many: they need each other's parts of the weights
		turns = (turns + w.Size() - 1) / w.Size() * w.Size()
	}
	for i := w.Rank(); i < turns; i += w.Size() {
		b := batches[min(i, len(batches)-1)]
		loss, err := t.lossOf(ctx, b)
		if err != nil {
			return nil, err
		}
		if i < len(batches) {
			own = append(own, loss)
		}
	}
	if w.Size() == 1 {
		return own, nil
	}
	parts, err := w.AllGather(encode([][]float64{own}))
	if err != nil {
		return nil, err
	}
	all := make([]float64, len(batches))
	for rank, part := range parts {
		theirs, err := decode(part)
		if err != nil || len(theirs) != 1 || len(theirs[0]) != (len(batches)-rank+w.Size()-1)/w.Size() {
			return nil, fmt.Errorf("process %d: want the losses of its held-out rows, got %d bytes", rank, len(part))
		}
		for k, loss := range theirs[0] {
			all[rank+k*w.Size()] = loss
		}
	}
	return all, nil
}

// lossOf is the sum of the losses of a batch's counted tokens. Where the weights are divided, the model is run also for
// a batch without any.
func (t *Trainer) lossOf(ctx context.Context, b data.Batch) (float64, error) {
	if b.Counted() > 0 || t.shards == nil {
		return sumOver(ctx, t.Model, b)
	}
	scope := t.Device.Scope()
	defer scope.Close()
	return 0, tensor.Catch(func() { t.Model.Hidden(b.Batch) })
}

// isFirst reports whether this process writes the run's files, and tells of it.
func (r *run) isFirst() bool { return r.options.processes().Rank() == 0 }

// processes are those that make the run.
func (o Options) processes() dist.World {
	if o.World == nil {
		return dist.Alone()
	}
	return o.World
}

// checkProcesses refuses what so many processes cannot share.
func (c *Config) checkProcesses(n int) error {
	if c.Accumulate%n != 0 {
		var fit []int
		for k := 1; k <= c.Accumulate; k++ {
			if c.Accumulate%k == 0 {
				fit = append(fit, k)
			}
		}
		return c.wrongf("accumulate", "want a multiple of the %d processes, got %d, which fits %v processes", n,
			c.Accumulate, fit)
	}
	return nil
}

// arithmetic is what beside settings and files decides the bits of a run on a device: what the device says, and where
// everything trains the number of processes, or that they divide the optimizer (see gradientSum).
func (c *Config) arithmetic(d *tensor.Device, w dist.World) map[string]string {
	all := d.Arithmetic()
	switch n := w.Size(); {
	case c.Shard == ShardOptimizer && c.Accumulate > 1:
		all = maps.Clone(all)
		all["sum of gradients"] = "by micro-batches"
	case n > 1 && c.full():
		all = maps.Clone(all)
		all["processes"] = strconv.Itoa(n)
	}
	return all
}

// stopped reports whether the run is to end before its next step: one that any process is told to is one for all.
func (r *run) stopped(ctx context.Context) (bool, error) {
	w := r.options.processes()
	if w.Size() == 1 {
		return ctx.Err() != nil, nil
	}
	own := []byte{0}
	if ctx.Err() != nil {
		own[0] = 1
	}
	parts, err := w.AllGather(own)
	return slices.ContainsFunc(parts, func(p []byte) bool { return len(p) > 0 && p[0] != 0 }), err
}

// agreeOnShard refuses what would have processes wait for parts of weights that others do not give.
func (r *run) agreeOnShard() error {
	w := r.options.processes()
	if w.Size() == 1 {
		return nil
	}
	parts, err := w.AllGather([]byte(r.cfg.Shard))
	if err != nil {
		return err
	}
	for rank, part := range parts {
		if string(part) != string(parts[0]) {
			return &dist.CommonError{Err: fmt.Errorf("process %d has not what process 0 has: setting shard: want %q, got %q",
				rank, parts[0], part)}
		}
	}
	return nil
}

// agree refuses to begin where the processes have not the same program, arithmetic, settings and files.
func (r *run) agree() error {
	w := r.options.processes()
	if w.Size() == 1 {
		return nil
	}
	s := &r.state
	own := map[string]string{
		"program": s.Program, "rows": s.Data, "mixture": s.Mixture,
		"step": fmt.Sprint(s.Step), "loss of that step": fmt.Sprint(s.Loss),
	}
	for name, value := range s.Device {
		own["device's "+name] = value
	}
	for name, value := range s.Settings {
		own["setting "+name] = value
	}
	for name, value := range s.Rates {
		own["setting "+name] = fmt.Sprint(value)
	}
	for _, in := range s.Inputs {
		own["file "+in.Setting+" "+in.Name] += fmt.Sprintf("%d bytes, SHA-256 %.16s; ", in.Size, in.SHA256)
	}
	text, err := json.Marshal(own)
	if err != nil {
		return err
	}
	parts, err := w.AllGather(text)
	if err != nil {
		return err
	}
	var first map[string]string
	for rank, part := range parts {
		var theirs map[string]string
		if err := json.Unmarshal(part, &theirs); err != nil {
			return fmt.Errorf("process %d: want what it begins with: %w", rank, err)
		}
		if rank == 0 {
			first = theirs
			continue
		}
		for _, what := range slices.Sorted(maps.Keys(merged(first, theirs))) {
			if first[what] != theirs[what] {
				return &dist.CommonError{Err: fmt.Errorf("process %d has not what process 0 has: %s: want %q, got %q",
					rank, what, first[what], theirs[what])}
			}
		}
	}
	return nil
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// network is what the run has sent and waited for so far; nil where it is one process.
func (r *run) network() *Processes {
	m, ok := r.options.World.(*dist.Measured)
	if !ok {
		return nil
	}
	return &Processes{m.Size(), m.Waited.Seconds(), m.Sent}
}

// since is what is new after an earlier count.
func (p *Processes) since(earlier *Processes) *Processes {
	if p == nil {
		return nil
	}
	return &Processes{p.Count, p.Waited - earlier.Waited, p.Sent - earlier.Sent}
}
