package parallel

import (
	"math"
	"sync/atomic"
)

// closed is the sequence number of the job that ends a team.
const closed = math.MaxUint64

// A job is one Run or Stream. A worker that comes late finds no task left and goes.
type job struct {
	f        func(worker, task int)
	seq      uint64
	tasks    int64
	ranges   []taskRange // one for all workers, or one for each
	_        [64]byte    // the counters change often, the fields above never
	few      [2]taskRange
	done     atomic.Int64
	panicked atomic.Pointer[any]
}

func newJob(f func(worker, task int), seq uint64, tasks, ranges int) *job {
	j := &job{f: f, seq: seq, tasks: int64(tasks)}
	if ranges <= len(j.few) {
		j.ranges = j.few[:ranges]
	} else {
		j.ranges = make([]taskRange, ranges)
	}
	for i := range j.ranges {
		j.ranges[i].Store(packed(tasks*i/ranges, tasks*(i+1)/ranges))
	}
	return j
}

// A taskRange is tasks [lo, hi) that nobody has taken yet.
type taskRange struct {
	atomic.Uint64
	_ [56]byte // others' do not share its cache line
}

func packed(lo, hi int) uint64           { return uint64(lo)<<32 | uint64(hi) }
func unpacked(r uint64) (lo, hi int)     { return int(r >> 32), int(uint32(r)) }
func (r *taskRange) drop() (dropped int) { lo, hi := unpacked(r.Swap(0)); return hi - lo }

// take gives the first task or the last, and false if there is none.
func (r *taskRange) take(last bool) (task int, ok bool) {
	for {
		now := r.Load()
		lo, hi := unpacked(now)
		if lo == hi {
			return 0, false
		}
		task, rest := lo, packed(lo+1, hi)
		if last {
			task, rest = hi-1, packed(lo, hi-1)
		}
		if r.CompareAndSwap(now, rest) {
			return task, true
		}
	}
}

// take gives the first task of the worker's own range, else the last of another.
func (j *job) take(id int) (task int, ok bool) {
	for i := range j.ranges {
		if task, ok = j.ranges[(id+i)%len(j.ranges)].take(i > 0); ok {
			break
		}
	}
	return task, ok
}

// work takes tasks until none is left, and reports whether they were the last. What it has done it counts at its end: a
// counter that all workers change costs some hundred nanoseconds each time.
func (j *job) work(id int) (last bool) {
	done := int64(0)
	defer func() {
		if v := recover(); v != nil {
			first := v // which alone is on the heap
			j.panicked.CompareAndSwap(nil, &first)
			// Nobody may begin another task: count those left as done.
			done++
			for i := range j.ranges {
				done += int64(j.ranges[i].drop())
			}
		}
		last = done > 0 && j.done.Add(done) == j.tasks
	}()
	for {
		task, ok := j.take(id)
		if !ok {
			return
		}
		j.f(id, task)
		done++
	}
}

func (j *job) over() bool { return j.done.Load() == j.tasks }
