package vulkan

import "time"

// pace decides how many kernels and copies are submitted at once: enough that submitting costs
// little, and so few that none runs for long, because drivers end what takes seconds.
// How long the last ones ran is known only behind them, so it begins small. It begins small, too, where the device has
// nothing to do: it would wait until a whole batch is recorded.
type pace struct {
	batch int // most
	ramp  int // most of the next submission
}

const (
	firstBatch = 16
	mostBatch  = 256
	// mostCommands of a submission: a batch, and reads behind it, with barriers between all of them.
	mostCommands = 2*mostBatch + 64
	tooQuick     = 50 * time.Millisecond
	tooLong      = 200 * time.Millisecond
)

// next is how many the next submission takes.
func (p *pace) next() int { return min(p.batch, p.ramp) }

// idle tells that the device has nothing to do, submitted that it got something.
func (p *pace) idle()      { p.ramp = firstBatch }
func (p *pace) submitted() { p.ramp = min(mostBatch, 2*p.ramp) }

// done tells how long a submission of n kernels and copies ran.
func (p *pace) done(n int, ran time.Duration) {
	switch {
	case ran > tooLong:
		p.batch = max(1, p.batch/2)
	case ran < tooQuick && n >= p.batch:
		p.batch = min(mostBatch, 2*p.batch)
	}
}
