// Package parallel runs the tasks of one kernel on a team of goroutines.
//
// Kernels cut their work by shape, never by the number of threads, so that who
// runs a task cannot change a result.
package parallel

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// spin is how long an idle worker, or a caller whose last tasks run elsewhere,
// polls before it sleeps: about as long as waking a sleeping goroutine costs, 60-600 µs,
// so that neither costs twice what the other would have. Between two tokens of a small
// model, whose caller draws a word from 32,000, pass 80-160 µs; polling for much longer
// would take whole time slices from others on a shared machine.
const spin = 500 * time.Microsecond

// A Team is a fixed number of goroutines that share the tasks of one Run at a
// time. The goroutine that calls Run is one of them.
type Team struct {
	threads int
	busy    atomic.Bool // a Run is under way
	job     atomic.Pointer[job]
	seq     uint64 // of the last job; guarded by busy
	workers []worker
	exited  sync.WaitGroup
}

// Of the caller, worker 0, asleep and wake are about the end of its job.
type worker struct {
	asleep atomic.Bool
	wake   chan struct{} // holds one token, sent by whoever turned asleep off
	_      [48]byte      // workers poll their own cache line
}

// rouse wakes a worker that sleeps.
func (w *worker) rouse() {
	if w.asleep.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

// stayAwake takes back that a worker wants to sleep; false: somebody has seen it, and sends a token.
func (w *worker) stayAwake() bool { return w.asleep.CompareAndSwap(true, false) }

// New starts a team; threads below 1 means one per CPU that Go may use.
func New(threads int) *Team {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	t := &Team{threads: threads, workers: make([]worker, threads)}
	for id := range t.workers {
		t.workers[id].wake = make(chan struct{}, 1)
	}
	for id := 1; id < threads; id++ {
		t.exited.Add(1)
		go t.serve(id)
	}
	return t
}

// Threads is the number of goroutines that work in a Run, the caller included.
func (t *Team) Threads() int { return t.threads }

// Run calls f(worker, task) once for every task in [0, tasks) and returns when
// all calls have. Tasks are handed out in order. worker, in
// [0, Threads), is unique among the goroutines at work in this Run and may index
// scratch memory that belongs to this Run.
//
// The caller takes tasks too and never waits for a worker that has not started.
// A Run inside a Run, or beside one, executes on its caller alone. If f panics
// the tasks not yet begun are dropped and the first panic is raised again in the
// caller.
func (t *Team) Run(tasks int, f func(worker, task int)) { t.run(tasks, f, 1) }

// Stream is Run for tasks that read memory one behind the other, each of it once: a worker takes a range of its own from
// its beginning on, and what the others have left of theirs from the end, so that what the processor fetches ahead is its own.
func (t *Team) Stream(tasks int, f func(worker, task int)) { t.run(tasks, f, t.threads) }

func (t *Team) run(tasks int, f func(worker, task int), ranges int) {
	if tasks <= 0 {
		return
	}
	if t.threads == 1 || tasks == 1 || !t.busy.CompareAndSwap(false, true) {
		for task := range tasks {
			f(0, task)
		}
		return
	}
	t.seq++
	j := newJob(f, t.seq, tasks, ranges)
	t.job.Store(j)
	for id := 1; id < min(t.threads, tasks); id++ {
		t.workers[id].rouse()
	}
	j.work(0)
	t.wait(j)
	t.job.Store(nil)
	t.busy.Store(false)
	if p := j.panicked.Load(); p != nil {
		panic(*p)
	}
}

// Rows cuts [0, n) into chunks of grain rows, the last one shorter, and calls
// f(lo, hi) for each of them.
func (t *Team) Rows(n, grain int, f func(lo, hi int)) {
	grain = max(grain, 1)
	t.Run((n+grain-1)/grain, func(_, task int) {
		lo := task * grain
		f(lo, min(lo+grain, n))
	})
}

// Close ends the team's goroutines. It must not be called during a Run, nor Run
// after it.
func (t *Team) Close() {
	t.job.Store(&job{seq: closed})
	for id := 1; id < t.threads; id++ {
		t.workers[id].rouse()
	}
	t.exited.Wait()
}

// serve is the life of a worker.
func (t *Team) serve(id int) {
	defer t.exited.Done()
	debug.SetPanicOnFault(true) // a mapped weight may be cut short: the fault becomes the caller's panic (mapped.Guard)
	var seen uint64
	for {
		j := t.next(id, seen)
		if j.seq == closed {
			return
		}
		seen = j.seq
		if j.work(id) {
			t.workers[0].rouse()
		}
	}
}

// next waits for a job other than the one seen: awake for a while, then asleep.
func (t *Team) next(id int, seen uint64) *job {
	fresh := func() *job {
		if j := t.job.Load(); j != nil && j.seq != seen {
			return j
		}
		return nil
	}
	w := &t.workers[id]
	for {
		for start := time.Now(); time.Since(start) < spin; {
			for range 64 {
				if j := fresh(); j != nil {
					return j
				}
			}
		}
		w.asleep.Store(true)
		// A job published before asleep was set has sent no token.
		if j := fresh(); j != nil && w.stayAwake() {
			return j
		}
		<-w.wake
	}
}

// wait returns when every task is done. What wakes the caller may have been meant for the job before.
func (t *Team) wait(j *job) {
	w := &t.workers[0]
	for !j.over() {
		for start := time.Now(); time.Since(start) < spin; {
			for range 64 {
				if j.over() {
					return
				}
			}
		}
		w.asleep.Store(true)
		if j.over() && w.stayAwake() {
			return
		}
		<-w.wake
	}
}
