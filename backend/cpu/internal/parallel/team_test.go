package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestEveryTaskRunsOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		team := New(threads)
		for _, tasks := range []int{0, 1, 2, 7, 1000} {
			count := make([]atomic.Int32, tasks)
			inside := make([]atomic.Int32, threads)
			team.Run(tasks, func(worker, task int) {
				if inside[worker].Add(1) != 1 {
					t.Errorf("%d threads: two goroutines are worker %d", threads, worker)
				}
				count[task].Add(1)
				runtime.Gosched()
				inside[worker].Add(-1)
			})
			for i := range count {
				if n := count[i].Load(); n != 1 {
					t.Fatalf("%d threads: task %d of %d ran %d times", threads, i, tasks, n)
				}
			}
		}
		team.Close()
	}
}

func TestWorkersWakeFromSleep(t *testing.T) {
	team := New(3)
	defer team.Close()
	for range 5 {
		time.Sleep(5 * spin)
		// Each task waits for the others, so all three goroutines must come.
		var all sync.WaitGroup
		all.Add(3)
		team.Run(3, func(_, _ int) {
			all.Done()
			all.Wait()
		})
	}
}

func TestNestedAndConcurrentRunsAreSerial(t *testing.T) {
	team := New(4)
	defer team.Close()
	var n atomic.Int64
	team.Run(8, func(_, _ int) {
		last := -1
		team.Run(10, func(worker, task int) {
			if worker != 0 || task != last+1 {
				t.Errorf("nested: worker %d, task %d after %d", worker, task, last)
			}
			last = task
			n.Add(1)
		})
	})
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for range 100 {
				team.Run(10, func(_, _ int) { n.Add(1) })
			}
		})
	}
	callers.Wait()
	if n.Load() != 80+3000 {
		t.Errorf("%d tasks ran, want 3080", n.Load())
	}
}

func TestPanicReachesTheCaller(t *testing.T) {
	team := New(3)
	defer team.Close()
	for bad := range 40 {
		run := []func(int, func(worker, task int)){team.Run, team.Stream}[bad/20]
		func() {
			defer func() {
				if v := recover(); v != bad {
					t.Errorf("recovered %v, want %d", v, bad)
				}
			}()
			run(20, func(_, task int) {
				if task == bad%20 {
					panic(bad)
				}
			})
			t.Errorf("task %d: no panic", bad)
		}()
	}
	var n atomic.Int32
	team.Run(9, func(_, _ int) { n.Add(1) })
	if n.Load() != 9 {
		t.Errorf("after panics %d of 9 tasks ran", n.Load())
	}
}

func TestRowsCoverExactly(t *testing.T) {
	team := New(2)
	defer team.Close()
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		rows := make([]atomic.Int32, n)
		team.Rows(n, 64, func(lo, hi int) {
			if lo%64 != 0 || hi <= lo || hi > min(lo+64, n) {
				t.Errorf("chunk [%d, %d) of %d", lo, hi, n)
			}
			for i := lo; i < hi; i++ {
				rows[i].Add(1)
			}
		})
		for i := range rows {
			if rows[i].Load() != 1 {
				t.Fatalf("row %d of %d: %d times", i, n, rows[i].Load())
			}
		}
	}
}

func TestCloseEndsTheGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		team := New(4)
		team.Run(4, func(_, _ int) {})
		team.Close()
	}
	// Close has waited for the workers' last statement, not for their exit.
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// BenchmarkRun is what a Run of two empty tasks costs back to back.
func BenchmarkRun(b *testing.B) {
	team := New(2)
	defer team.Close()
	for b.Loop() {
		team.Run(2, func(_, _ int) {})
	}
}

// A worker has its own range in order, and the end of another's where its own is done.
func TestStreamBeginsWithARangeForEach(t *testing.T) {
	const tasks, threads = 60, 3
	team := New(threads)
	defer team.Close()
	for range 20 {
		count := make([]atomic.Int32, tasks)
		var took [threads][]int
		var all sync.WaitGroup
		all.Add(threads)
		team.Stream(tasks, func(worker, task int) {
			if len(took[worker]) == 0 { // nobody goes on before each has its first
				all.Done()
				all.Wait()
			}
			took[worker] = append(took[worker], task)
			count[task].Add(1)
		})
		for i := range count {
			if n := count[i].Load(); n != 1 {
				t.Fatalf("task %d ran %d times", i, n)
			}
		}
		for worker, list := range took {
			lo, hi := tasks*worker/threads, tasks*(worker+1)/threads
			for i, task := range list {
				if own := lo <= task && task < hi; i == 0 && task != lo || own && task != lo+i {
					t.Fatalf("worker %d of tasks [%d, %d) took %v", worker, lo, hi, list)
				}
			}
		}
	}
}
