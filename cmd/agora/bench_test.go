package main

import (
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/testdevice"
)

// Where AGORA_TEST_DEVICE names a Vulkan device, it is what is measured.
func TestBenchDispatch(t *testing.T) {
	r := mustJSON[bench.Dispatch](t, "bench", "dispatch", "--device", testdevice.Name(), "--threads", "1",
		"--dispatches", "40", "--rounds", "2")
	if r.Independent.Done <= 0 || r.Chain.Done <= 0 || r.Alone <= 0 || r.Step.Milliseconds <= 0 {
		t.Errorf("something took no time: %+v", r)
	}
	var text strings.Builder
	printDispatch(&text, r)
	want := []string{"a training step", "first start"}
	if r.Device == "cpu" {
		if r.Independent.Recorded != nil || r.Chain.Recorded != nil || r.Step.Counts != nil || r.First != nil ||
			r.Warm != nil {
			t.Errorf("the CPU records, counts and compiles nothing, but: %+v", r)
		}
		want = append(want, "not available: this device compiles nothing", "not available: every kernel runs")
	} else {
		if r.Independent.Recorded == nil || r.Chain.Recorded == nil || r.Step.Counts == nil || r.First == nil ||
			r.Warm == nil {
			t.Fatalf("something is missing: %+v", r)
		}
		if n := *r.Step.Counts; n.Dispatches < 100 || n.Barriers < 50 || n.Barriers > n.Dispatches ||
			n.Submissions < 2 || n.Pipelines != 0 {
			t.Errorf("a step is %+v", n)
		}
		if r.First.Pipelines < 10 || r.Warm.Pipelines != r.First.Pipelines || r.Warm.Open == r.First.Open {
			t.Errorf("first start %+v, the second %+v", r.First, r.Warm)
		}
		want = append(want, "pipelines created", "submissions")
	}
	for _, part := range want {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in\n%s", part, text.String())
		}
	}
	for _, c := range [][]string{{"--rounds", "0"}, {"--dispatches", "-1"}, {"--device", "cuda"}} {
		code, _, stderr := agora(t, append([]string{"bench", "dispatch"}, c...)...)
		if code != 1 || !strings.Contains(stderr, c[0][2:]) || !strings.Contains(stderr, c[1]) {
			t.Errorf("%v: exit code %d, said %q", c, code, stderr)
		}
	}
}

func TestBenchNetworkOfOneProcess(t *testing.T) {
	if n := mustJSON[bench.Network](t, "bench", "network"); n != (bench.Network{Processes: 1}) {
		t.Errorf("measured %+v", n)
	}
	if code, stdout, _ := agora(t, "bench", "network"); code != 0 || !strings.Contains(stdout, "start it with mpirun") {
		t.Errorf("exit code %d, printed %q", code, stdout)
	}
	var text strings.Builder
	printNetwork(&text, bench.Network{Processes: 4, Share: 9.1e8, Exchange: 8.7e8, Barrier: 500})
	for _, part := range []string{"0.91 Gbit/s into each", "0.87 Gbit/s each way", "500 µs"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in\n%s", part, text.String())
		}
	}
}
