package tfevents_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/agora-ml/agora/encoding/tfevents"
)

// A curve of two points, which TensorBoard finds in the folder.
func Example() {
	dir, err := os.MkdirTemp("", "tfevents")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	start := time.Unix(1_700_000_000, 0)
	w, err := tfevents.Create(dir, start)
	if err != nil {
		log.Fatal(err)
	}
	for step, loss := range []float32{2.5, 1.5} {
		seconds := float64(start.Unix() + int64(step))
		if err := w.Scalars(seconds, step, tfevents.Scalar{Tag: "loss/train", Value: loss}); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	fmt.Println(len(files), err)
	// Output: 1 <nil>
}
