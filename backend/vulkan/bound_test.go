//go:build vulkan_bindings && cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"os"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/tensor"
)

// Synchronization validation says nothing of a training step as it is, and something as soon as any
// one of its barriers is left out, but for two at the most: before a sum is added to again that a kernel has written to,
// and before one kernel adds to parts of what another has written other parts of. So it would see one that the recorder
// forgets.
func TestValidationSeesEveryMissingBarrier(t *testing.T) {
	b := open(t, vulkan.Options{})
	if os.Getenv(vulkan.ValidateVariable) != "1" {
		t.Fatal("this build is for the validation layer: run it by tools/.vk/run")
	}
	tap := vulkan.TapOf(b)
	d := tensor.NewDevice(b)
	tr := newTrainer(t, d, 1)
	batches := data.Batches(tinymodel.Rows(2, 1), 2)
	for range 2 { // the first one also makes the state of the optimizer
		tap.Forget()
		if _, err := tr.Step(batches); err != nil {
			t.Fatal(err)
		}
	}
	if err := tap.Replay(vulkan.Place{Submission: -1}); err != nil {
		t.Fatalf("nothing left out: %v", err)
	}
	barriers := tap.Barriers()
	var unseen []vulkan.Place
	for _, p := range barriers {
		switch err := tap.Replay(p); {
		case err == nil:
			unseen = append(unseen, p)
		case !strings.Contains(err.Error(), "hazard detected"):
			t.Errorf("without the barrier at %+v: error %v", p, err)
		}
	}
	if len(unseen) > 2 {
		t.Errorf("without the barriers at %+v: no error", unseen)
	}
	if len(barriers) < 30 {
		t.Errorf("a step has %d barriers, want 30 at least", len(barriers))
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
