package cpu_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

func TestProfileIsAChromeTrace(t *testing.T) {
	var out bytes.Buffer
	b, err := cpu.Open(cpu.Options{Threads: 2, Profile: &out})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	x := d.New(tensor.F32, 64)
	d.Run(kernels.Fill{N: 64, Value: 2}, x)
	d.Run(kernels.Unary{N: 64, Func: kernels.FuncLog}, d.Like(x), x) // no fast version
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	var trace struct {
		TraceEvents []struct {
			Name     string
			Ph       string
			Ts, Dur  float64
			Pid, Tid int
		}
		OtherData map[string]string
	}
	if err := json.Unmarshal(out.Bytes(), &trace); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	e := trace.TraceEvents
	if len(e) != 2 || e[0].Name != "fill" || e[1].Name != "unary (loops)" || e[0].Ph != "X" ||
		e[1].Ts < e[0].Ts+e[0].Dur || e[1].Dur < 0 || trace.OtherData["device"] != "cpu" {
		t.Errorf("trace %+v", trace)
	}
}
