package vulkan

import "time"

// pace decides how many kernels and copies are submitted at once: enough that submitting costs
// little, and so few that none runs for long, because drivers end what takes seconds.
// How long the last ones ran is known only behind them, so it begins small.
type pace struct{ batch int }

const (
	firstBatch = 16
	mostBatch  = 256
	// mostCommands of a submission: a batch, and reads behind it, with barriers between all of them.
	mostCommands = 2*mostBatch + 64
	tooQuick     = 50 * time.Millisecond
	tooLong      = 200 * time.Millisecond
)

// done tells how long a submission of n kernels and copies ran.
func (p *pace) done(n int, ran time.Duration) {
	switch {
	case ran > tooLong:
		p.batch = max(1, p.batch/2)
	case ran < tooQuick && n >= p.batch:
		p.batch = min(mostBatch, 2*p.batch)
	}
}
