//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Pipelines are kept in one file; a file that is damaged, or cannot be, is as good as none.
func TestPipelineCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	add := func(dir string) {
		t.Helper()
		d := tensor.NewDevice(open(t, vulkan.Options{CacheDir: dir}))
		x := d.FromFloat32s(tensor.F32, []float32{1, 2}, 2)
		y := d.Like(x)
		d.Run(kernels.Add{N: 2, M: 2}, y, x, x)
		if got, err := y.Float32s(); err != nil || got[1] != 4 {
			t.Fatalf("%v, %v", got, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add(dir)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 || filepath.Ext(files[0]) != ".pipelines" {
		t.Fatalf("files %v, %v; want one with pipelines", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	add(dir) // from the file
	for _, damaged := range [][]byte{whole[:len(whole)-1], append([]byte{whole[0] ^ 1}, whole[1:]...), {},
		make([]byte, 1000)} {
		if err := os.WriteFile(files[0], damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		add(dir)
	}
	add(filepath.Join(files[0], "below a file"))
	add(vulkan.NoCache)
}
