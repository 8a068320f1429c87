//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"flag"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Where tools/.vk/run has brought the validation layer, everything runs under it unless AGORA_VULKAN_VALIDATE=0, its
// synchronization checks on: the second variable makes it look at what shaders touch.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("VK_LAYER_PATH") != "" && os.Getenv(vulkan.ValidateVariable) != "0" && flag.Lookup("test.bench").Value.String() == "" {
		for name, value := range map[string]string{
			vulkan.ValidateVariable: "1", "VK_LAYER_VALIDATE_SYNC": "1",
			"VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC": "1",
			"VK_LAYER_ENABLE_MESSAGE_LIMIT":              "0",
		} {
			if err := os.Setenv(name, value); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

// open opens a device, or skips the test where there is none.
func open(t testing.TB, o vulkan.Options) tensor.Backend {
	t.Helper()
	o.ConvertHalves = o.ConvertHalves || onlySoftware()
	return openAsAsked(t, o)
}

func openAsAsked(t testing.TB, o vulkan.Options) tensor.Backend {
	t.Helper()
	b, err := vulkan.Open(o)
	if err != nil && os.Getenv("AGORA_REQUIRE_VULKAN") == "1" {
		t.Fatal("AGORA_REQUIRE_VULKAN=1: ", err)
	} else if err != nil {
		t.Skip("no Vulkan device: ", err)
	}
	return b
}

// onlySoftware reports whether there is no GPU. Lavapipe converts to halves as it should, though it does not promise it: so
// tests run as on a GPU that does, and those with Options.Plain by integers.
func onlySoftware() bool {
	list, err := vulkan.Devices()
	return err == nil && !slices.ContainsFunc(list, func(d vulkan.Info) bool { return d.Kind != vulkan.KindCPU })
}

func openDevice(t testing.TB, o vulkan.Options) *tensor.Device {
	d := tensor.NewDevice(open(t, o))
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestAddRuns(t *testing.T) {
	d := openDevice(t, vulkan.Options{})
	a := d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4}, 4)
	b := d.FromFloat32s(tensor.F32, []float32{10, 20}, 2)
	y := d.Like(a)
	d.Run(kernels.Add{N: 4, M: 2}, y, a, b)
	d.Run(kernels.Add{N: 4, M: 2}, a, y, b)
	got, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{21, 42, 23, 44}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What is read together arrives where it belongs: behind the dispatches before, however many
// reads there are, and in parts where the staging memory is too small.
func TestReadTogether(t *testing.T) {
	d := openDevice(t, vulkan.Options{Profile: io.Discard}) // which has room for the times of a submission's commands
	const large, small = 2_500_000, 600
	host := make([]float32, large)
	for i := range host {
		host[i] = float32(i % 8191)
	}
	x := d.FromFloat32s(tensor.F32, host, large)
	y := d.Like(x)
	d.Run(kernels.Add{N: large, M: large}, y, x, x)
	ts := []*tensor.Tensor{y}
	for i := range small {
		ts = append(ts, y.View(7*i, 1))
	}
	got, err := d.Float64s(ts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got[0] {
		if v != 2*float64(host[i]) {
			t.Fatalf("element %d of the large tensor is %v, want %v", i, v, 2*host[i])
		}
	}
	for i, v := range got[1:] {
		if v[0] != 2*float64(host[7*i]) {
			t.Fatalf("small tensor %d is %v, want %v", i, v, 2*host[7*i])
		}
	}
}

func TestDevicesAreDescribed(t *testing.T) {
	if err := open(t, vulkan.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	list, err := vulkan.Devices()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range list {
		t.Logf("%+v", d)
		l := d.Limits
		if d.Index != i || d.Name == "" || d.Usable() == nil &&
			(d.Memory < 1<<28 || l.Groups[0] < 65535 || l.Invocations < 128 || l.Allocation < 1<<28 ||
				d.Subgroup[1] < 1) {
			t.Errorf("device %d: %+v", i, d)
		}
	}
}

// Recording, submitting and running a kernel that does next to nothing.
func BenchmarkDispatch(b *testing.B) {
	d := tensor.NewDevice(open(b, vulkan.Options{}))
	defer d.Close()
	x := d.FromFloat32s(tensor.F32, make([]float32, 64), 64)
	for _, bb := range []struct {
		name    string
		outputs int
	}{{"independent", 256}, {"each after the one before", 1}} {
		b.Run(bb.name, func(b *testing.B) {
			outputs := make([]*tensor.Tensor, bb.outputs)
			for i := range outputs {
				outputs[i] = d.New(tensor.F32, 64)
			}
			i := 0
			for b.Loop() {
				d.Run(kernels.Add{N: 64, M: 64}, outputs[i%len(outputs)], x, x)
				i++
			}
			if _, err := outputs[0].Float32s(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// Every kernel is told of, in order, before the read after it returns; what has run before is not.
func TestTimed(t *testing.T) {
	d := openDevice(t, vulkan.Options{})
	x := d.New(tensor.F32, 1<<16)
	d.Run(kernels.Fill{N: 1 << 16}, x)
	var got []tensor.Timing
	if !d.Timed(func(k tensor.Timing) { got = append(got, k) }) {
		t.Fatal("the device does not tell")
	}
	const n = 700 // of several submissions
	for range n {
		d.Run(kernels.Scale{N: 1 << 16, Alpha: 2, Beta: 1}, x, x)
	}
	d.Run(kernels.Fill{N: 1 << 16, Value: 3}, x)
	if _, err := x.Float32s(); err != nil {
		t.Fatal(err)
	}
	if len(got) != n+1 {
		t.Fatalf("told of %d kernels, want %d", len(got), n+1)
	}
	for i, k := range got {
		want := "scale"
		if i == n {
			want = "fill"
		}
		if k.Kernel != want || k.Form != want || k.Ran < 0 || i > 0 && k.Start < got[i-1].Start {
			t.Fatalf("kernel %d is %+v after %+v, want %s", i, k, got[max(0, i-1)], want)
		}
	}
}
