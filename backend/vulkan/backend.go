package vulkan

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// backend implements tensor.Backend on any hardware.
type backend struct {
	hw      hardware
	limits  Limits
	plain   bool                    // Options.Plain
	tiles   map[string]shaders.Tile // Options.Tiles
	enough  uint64                  // workgroups
	halves  bool                    // the device rounds to them by its conversion,
	keeps   bool                    // and is asked to keep what it may drop
	memory  arena
	kernels map[string]*kernel
	rec     recorder
	pace    pace
	staging [slots]staging
	next    uint64 // number of the submission being recorded
	done    uint64 // the last one known to have finished
	stamps  stamping
	err     error // the first

	compilers *compilers
	awaiting  []awaiting // commands of the submission being recorded

	fills     map[*buffer]*fill
	staged    bool   // Options.Staged
	transfers uint64 // number of the last one
	awaited   uint64 // the last one that a submission has waited for
	abandoned bool   // somebody may still write to the fills' memory

	push          []byte // reused by dispatch
	reads, writes []span
	landings      []landing // of the reads in the submission being recorded
}

// staging is the host memory and the commands of one slot.
type staging struct {
	memory
	used  int       // bytes, by the submission being recorded
	count int       // commands of the slot's last submission
	work  int       // of them, those that are no barriers
	names []stamped // of its commands, if they are timed
}

// stagingBytes is the part of an upload or download that goes in one submission: 14 GB of weights take 850.
const stagingBytes = 16 << 20

func newBackend(hw hardware, o Options) *backend {
	l := hw.limits().lowered(o.Limits)
	b := &backend{
		hw: hw, limits: l, plain: o.Plain, tiles: o.Tiles, enough: enoughGroups(hw), kernels: map[string]*kernel{}, next: 1,
		fills: map[*buffer]*fill{}, staged: o.Staged, compilers: &compilers{},
		pace: pace{firstBatch, firstBatch},
		// staging has the other allocations
		memory: arena{hw: hw, limit: o.MemoryLimit, most: l.Allocation, count: l.Allocations - slots},
	}
	b.keeps = hw.keepsHalves() && !o.Plain
	b.halves = b.keeps || o.ConvertHalves && !o.Plain
	b.stamps.w, b.stamps.trace.Device = o.Profile, hw.name()
	return b
}

func (b *backend) Name() string { return "vulkan (" + b.hw.name() + ")" }

// Arithmetic is what decides the bits of results: the device and its driver, and what
// chooses among the shaders of a kernel and their launch sizes.
func (b *backend) Arithmetic() map[string]string {
	all := map[string]string{"workgroups": fmt.Sprintf("%d invocations, %d bytes", b.limits.Invocations,
		b.limits.Shared)}
	if g, ok := b.hw.(interface{ arithmetic() map[string]string }); ok {
		maps.Copy(all, g.arithmetic())
	}
	if b.plain {
		all["shaders"] = "plain"
	}
	for name, tile := range b.tiles {
		all["tile of "+name] = fmt.Sprint(tile)
	}
	return all
}

// Counts are what the backend has done so far.
func (b *backend) Counts() Counts {
	c := b.rec.counts
	for _, k := range b.kernels {
		for _, f := range k.forms {
			c.Pipelines += len(f.pipelines)
		}
	}
	return c
}

// RunsSideBySide implements tensor.Overlapping.
func (b *backend) RunsSideBySide() {}

// Launches implements tensor.Launching.
func (b *backend) Launches() {}

// CountChain makes Counts tell the longest chain of commands from now on, which costs some time.
func (b *backend) CountChain() { b.rec.chain = &chain{} }

func (b *backend) fail(err error) {
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("vulkan: %w", err)
	}
}

func (b *backend) Alloc(bytes int) (tensor.Buffer, error) {
	buf, err := b.memory.alloc(bytes)
	if errors.Is(err, tensor.ErrOutOfMemory) { // empty blocks that were still in use may go now
		if b.finish(); b.err == nil {
			b.memory.reap(b.next, 0) // nothing is recorded for the next submission
		}
		buf, err = b.memory.alloc(bytes)
	}
	if err != nil {
		return nil, err // a *buffer that is nil would be a Buffer that is not
	}
	return buf, nil
}

func (b *backend) Free(buf tensor.Buffer) {
	if b.abandoned {
		return
	}
	b.endFill(buf.(*buffer))
	b.memory.free(buf.(*buffer), b.next)
}

// Limit is the most bytes of all buffers together; 0 if unknown.
func (b *backend) Limit() int {
	if free := b.memory.room(); free >= 0 {
		return b.memory.total + free
	}
	return 0
}

func (b *backend) Run(k tensor.Kernel, args []tensor.Arg) {
	if b.err != nil {
		return
	}
	b.rec.counts.Calls++
	if err := b.dispatch(k, args); err != nil {
		b.fail(fmt.Errorf("kernel %s: %w", k.Name(), err))
	}
}

// Write copies by way of the staging memory, so that it comes behind everything recorded.
func (b *backend) Write(dst tensor.Buffer, off int, src []byte) {
	for len(src) > 0 && b.err == nil {
		part, from := b.stage(len(src))
		if b.err != nil {
			return
		}
		n := copy(part, src)
		s := dst.(*buffer).span(off, n)
		c := b.rec.add(copyCommand, nil, []span{s}, stamped{form: "write"})
		c.from, c.fromAt = b.slot().buffer, uint64(from)
		c.to, c.toAt, c.n = dst.(*buffer).block.buffer, s.from-dst.(*buffer).block.address, uint64(n)
		off, src = off+n, src[n:]
		b.recorded()
	}
}

// Read copies to the staging memory and from there: one submission, and one wait, for all
// that has room there.
func (b *backend) Read(reads ...tensor.Read) error {
	for _, r := range reads {
		src := r.Src.(*buffer)
		for at := 0; at < len(r.Dst) && b.err == nil; {
			if b.slot().used >= stagingBytes || b.rec.length()+2 > mostCommands {
				b.land()
			}
			part, to := b.stage(len(r.Dst) - at)
			if b.err != nil {
				break
			}
			s := src.span(r.Offset+at, len(part))
			c := b.rec.add(copyCommand, []span{s}, nil, stamped{form: "read"})
			c.from, c.fromAt = src.block.buffer, s.from-src.block.address
			c.to, c.toAt, c.n = b.slot().buffer, uint64(to), uint64(len(part))
			b.landings = append(b.landings, landing{r.Dst[at:], part})
			at += len(part)
		}
	}
	b.land()
	return b.err
}

// landing is staging memory that a read arrives in, and where it goes from there.
type landing struct{ to, from []byte }

// land waits for the reads that are recorded, and ends them.
func (b *backend) land() {
	b.finish()
	for _, l := range b.landings {
		if b.err == nil {
			copy(l.to, l.from)
		}
	}
	clear(b.landings)
	b.landings = b.landings[:0]
}

func (b *backend) Flush() error {
	b.submit()
	return b.err
}

func (b *backend) Close() error {
	b.finish()
	if b.err != nil { // then finish has not waited, and what is submitted still uses the memory
		_ = b.hw.wait(b.next - 1) // its error would be a consequence of the first
		_ = b.hw.transferred(b.transfers)
	}
	b.fail(b.stamps.close())
	if b.abandoned {
		return b.err
	}
	b.closeFills()
	b.memory.close()
	for i := range b.staging {
		if b.staging[i].host != nil {
			b.hw.release(b.staging[i].memory)
		}
	}
	b.compilers.all.Wait()
	return errors.Join(b.err, b.hw.close())
}

// slot is where the submission being recorded has its memory.
func (b *backend) slot() *staging { return &b.staging[b.next%slots] }

// stage gives up to n bytes of host memory that commands of this submission may use, and
// where they are in its buffer.
func (b *backend) stage(n int) (part []byte, at int) {
	if b.slot().used >= stagingBytes {
		b.submit()
	}
	b.claim()
	s := b.slot()
	if s.host == nil && b.err == nil {
		var err error
		s.memory, err = b.hw.allocate(stagingBytes, true)
		b.fail(err)
	}
	if b.err != nil {
		return nil, 0
	}
	at = s.used
	n = min(n, stagingBytes-at)
	s.used = (at + n + 15) &^ 15
	return s.host[at : at+n : at+n], at
}

// claim waits until the slot's last submission has finished, three before this one.
func (b *backend) claim() {
	if b.next > slots && b.done < b.next-slots {
		b.wait(b.next - slots)
	}
}

// recorded follows every command: enough of them are submitted.
func (b *backend) recorded() {
	if len(b.rec.entries) >= b.pace.next() {
		b.submit()
	}
}

// Time implements tensor.Timer. What has been recorded before is not told.
func (b *backend) Time(f func(tensor.Timing)) {
	if b.finish(); b.err == nil {
		b.stamps.timed, b.stamps.asked = f, b.rec.counts.Calls
	}
}

// submit hands the recorded commands to the device.
func (b *backend) submit() {
	if b.err != nil || len(b.rec.entries) == 0 {
		return
	}
	if b.claim(); b.err != nil {
		return
	}
	if b.settle(); b.err != nil {
		return
	}
	commands, names := b.rec.ordered()
	after := uint64(0)
	if b.transfers > b.awaited {
		after = b.transfers
	}
	if b.fail(b.hw.submit(b.next, commands, after, b.stamps.on())); b.err != nil {
		return
	}
	b.awaited = b.transfers
	s := b.slot()
	s.count, s.work, s.used = len(commands), len(b.rec.entries), 0
	if b.stamps.on() {
		s.names = append(s.names[:0], names...)
	}
	b.rec.reset()
	b.next++
	b.pace.submitted()
}

// finish waits for everything.
func (b *backend) finish() {
	b.submit()
	b.wait(b.next - 1)
	b.pace.idle()
	if b.err == nil && b.transfers > b.awaited {
		b.fail(b.hw.transferred(b.transfers))
	}
}

// wait returns when submission n has finished.
func (b *backend) wait(n uint64) {
	if b.err != nil || n <= b.done {
		return
	}
	b.rec.counts.Waits++
	if b.fail(b.hw.wait(n)); b.err != nil {
		return
	}
	for b.done < n {
		b.done++
		b.timed(b.done)
	}
	b.memory.reap(b.done, 1)
}

// timed looks at how long a finished submission ran.
func (b *backend) timed(n uint64) {
	s := &b.staging[n%slots]
	stamps := 2
	if b.stamps.on() {
		stamps = s.count + 1
	}
	times, err := b.hw.stamps(n, stamps)
	b.fail(err)
	if len(times) < 2 {
		return
	}
	b.pace.done(s.work, time.Duration(times[len(times)-1]-times[0]))
	if b.stamps.on() {
		b.stamps.add(s.names, times)
	}
}
