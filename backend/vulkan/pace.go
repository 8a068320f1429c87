package vulkan

import "time"

// pace decides how many commands are submitted at once: enough that submitting costs
// little, and so few that none runs for long, because drivers end what takes seconds.
// How long the last ones ran is known only behind them, so it begins small.
type pace struct{ batch int }

const (
	firstBatch = 16
	mostBatch  = 256
	// mostCommands of a submission: a batch, and the reads behind it with their barrier.
	mostCommands = mostBatch + 64
	tooQuick     = 50 * time.Millisecond
	tooLong      = 200 * time.Millisecond
)

// done tells how long a submission of n commands ran.
func (p *pace) done(n int, ran time.Duration) {
	switch {
	case ran > tooLong:
		p.batch = max(1, p.batch/2)
	case ran < tooQuick && n >= p.batch:
		p.batch = min(mostBatch, 2*p.batch)
	}
}
