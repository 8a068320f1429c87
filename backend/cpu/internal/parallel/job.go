package parallel

import (
	"math"
	"sync/atomic"
	"time"
)

// closed is the sequence number of the job that ends a team.
const closed = math.MaxUint64

// A job is one Run. A worker that comes late finds no task left and goes.
type job struct {
	f        func(worker, task int)
	seq      uint64
	tasks    int64
	_        [64]byte // the counters change often, the fields above never
	next     atomic.Int64
	done     atomic.Int64
	panicked atomic.Pointer[any]
	finished chan struct{} // closed with the last task
}

// work takes tasks until none is left.
func (j *job) work(id int) {
	defer func() {
		if v := recover(); v != nil {
			first := v // which alone is on the heap
			j.panicked.CompareAndSwap(nil, &first)
			// Nobody may begin another task: count those left as done.
			dropped := max(0, j.tasks-j.next.Swap(j.tasks))
			j.finish(1 + dropped)
		}
	}()
	for {
		task := j.next.Add(1) - 1
		if task >= j.tasks {
			return
		}
		j.f(id, int(task))
		j.finish(1)
	}
}

func (j *job) finish(n int64) {
	if j.done.Add(n) == j.tasks {
		close(j.finished)
	}
}

// wait returns when every task is done.
func (j *job) wait() {
	for start := time.Now(); time.Since(start) < spin; {
		for range 64 {
			if j.done.Load() == j.tasks {
				return
			}
		}
	}
	<-j.finished
}
