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

// Synchronization validation says nothing of a training step as it is, and something as soon as any one of its barriers
// between a write and a read is left out. So it would see one that the recorder forgets. Of two dispatches that write to the
// same memory it says nothing, also where the second reads it to add to it (tried: fill and fill, fill and a product that
// adds): barriers for those alone are for the null device to find.
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
	seen := 0
	for _, p := range barriers {
		switch err := tap.Replay(p); {
		case err != nil && strings.Contains(err.Error(), "hazard detected"):
			seen++
		case err != nil || tap.OrdersReads(p):
			t.Errorf("without the barrier at %+v: error %v", p, err)
		}
	}
	if seen < 30 {
		t.Errorf("validation has seen %d of the step's %d barriers, want 30 at least", seen, len(barriers))
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
