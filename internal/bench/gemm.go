package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/normals"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// GEMMOptions say which products of matrices are measured, and how long.
type GEMMOptions struct {
	Device      string // as device.Open takes it
	Threads     int    // of the CPU; 0: all
	MemoryLimit int    // bytes; 0: what is free
	// MatmulPrecision is device.Options'.
	MatmulPrecision cpu.Precision
	DTypes          []tensor.DType
	Sizes           [][3]int // M, N and K: c [M, N] = a [M, K] b [K, N]
	Layouts         []string // of Layouts; none: all
	Rounds          int      // of which the median counts, and the best
	Round           time.Duration
	Peak            float64 // operations a second that the device could do; 0: on the CPU it is measured
	Bandwidth       float64 // bytes a second that the device could read; 0: unknown
	Forms           []Form  // of the kernel, on a Vulkan device, in the place of what the backend chooses
	Notice          func(line string)
}

// Layouts are those of Product.Layout that a training step has.
var Layouts = []string{"NN", "NT", "TN"}

// GEMM is how fast a device multiplies matrices.
type GEMM struct {
	Device string `json:"device"`
	// MatmulPrecision is how products of f32 were computed.
	MatmulPrecision cpu.Precision `json:"matmul_precision"`
	Peak            float64       `json:"peak_tflops,omitempty"` // given or measured; 0: unknown
	Products        []Product     `json:"products"`
	// Rates are the products' median GFLOP/s by their names, where the backend chooses their form.
	Rates map[string]float64 `json:"rates"`
}

// Product is one product of matrices, as the kernel matmul makes it.
type Product struct {
	Form         *Form   `json:"form,omitempty"` // nil: what the backend chooses
	DType        string  `json:"dtype"`          // of a, b and c; q8 and q4 of b alone, and the others f32
	Layout       string  `json:"layout"`         // T: stored transposed. NT: a linear layer, NN: its input's gradient, TN: its weight's
	M            int     `json:"m"`
	N            int     `json:"n"`
	K            int     `json:"k"`
	Calls        int     `json:"calls"` // of a round: each writes c after the one before
	Milliseconds float64 `json:"ms"`    // a call, the median
	TFLOPS       float64 `json:"tflops"`
	Best         float64 `json:"best_tflops"`
	GBs          float64 `json:"gb_per_s"`               // 10^9 bytes: a and b read and c written once, the median
	Utilization  float64 `json:"utilization,omitempty"`  // TFLOPS of GEMM.Peak
	OfBandwidth  float64 `json:"of_bandwidth,omitempty"` // GBs of GEMMOptions.Bandwidth
	Deviation    float64 `json:"deviation"`              // largest of 16 elements from float64, in deviations of c's
	Problem      string  `json:"problem,omitempty"`      // why this form cannot be measured
}

// Name is a product's name in GEMM.Rates, such as "f32 NT 512 x 32 x 4096".
func (p Product) Name() string {
	return fmt.Sprintf("%s %s %d x %d x %d", p.DType, p.Layout, p.M, p.N, p.K)
}

// mostDeviation is more than rounding to bf16 does.
const mostDeviation = 0.02

// Right reports whether the elements looked at are what they should be.
func (p Product) Right() bool { return p.Deviation <= mostDeviation }

// List are the products that are measured where the backend chooses their form, with nothing measured.
func (o GEMMOptions) List() (list []Product) {
	layouts := o.Layouts
	if len(layouts) == 0 {
		layouts = Layouts
	}
	for _, dt := range o.DTypes {
		for _, size := range o.Sizes {
			for _, layout := range layouts {
				if dt.IsQuantized() && layout == "TN" {
					continue // there are no gradients of quantized weights
				}
				list = append(list, Product{DType: dt.String(), Layout: layout, M: size[0], N: size[1], K: size[2]})
			}
		}
	}
	return list
}

// MeasureGEMM measures every product, and tells each as it is known. A form that the device
// does not take is a product with a Problem.
func MeasureGEMM(ctx context.Context, o GEMMOptions, tell func(Product)) (r GEMM, err error) {
	r.Peak, r.Rates = o.Peak/1e12, map[string]float64{}
	if len(o.Forms) == 0 {
		d, err := device.OpenWith(o.Device,
			device.Options{Threads: o.Threads, MemoryLimit: o.MemoryLimit, MatmulPrecision: o.MatmulPrecision, Notice: o.Notice})
		if err != nil {
			return r, err
		}
		if r.Peak == 0 && d.Name() == "cpu" {
			r.Peak = cpu.Peak(o.Threads) / 1e12
		}
		g := gemmMeter{GEMMOptions: o, device: d, stock: newStock(1), report: &r, tell: tell}
		return r, closeAfter(d, g.all(ctx, o.DTypes))
	}
	s := newStock(1)
	for _, f := range o.Forms {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		d, dtypes, err := f.open(o)
		if err != nil {
			return r, err
		}
		g := gemmMeter{GEMMOptions: o, device: d, stock: s, report: &r, tell: tell, form: &f}
		err = closeAfter(d, g.all(ctx, dtypes))
		if err != nil && ctx.Err() == nil {
			p := Product{Form: &f, Problem: err.Error()}
			r.Products = append(r.Products, p)
			tell(p)
		}
	}
	return r, nil
}

// closeAfter closes a device after work that may have failed: its error would come again.
func closeAfter(d *tensor.Device, err error) error {
	if closed := d.Close(); err == nil {
		return closed
	}
	return err
}

// gemmMeter measures on an open device.
type gemmMeter struct {
	GEMMOptions
	device *tensor.Device
	stock  *stock
	report *GEMM
	tell   func(Product)
	form   *Form
}

// all measures every size and layout in these types.
func (g *gemmMeter) all(ctx context.Context, dtypes []tensor.DType) error {
	r := g.report
	r.Device, r.MatmulPrecision = g.device.Name(), device.MatmulPrecision(g.device)
	o := g.GEMMOptions
	o.DTypes = dtypes
	for _, p := range o.List() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.Form = g.form; g.form != nil && !g.form.takes(p.kernel()) {
			continue
		}
		dt, err := tensor.ParseDType(p.DType)
		if err != nil {
			return err
		}
		if err := g.measure(&p, dt); err != nil {
			return fmt.Errorf("%s: %w", p.Name(), err)
		}
		if r.Peak > 0 {
			p.Utilization = p.TFLOPS / r.Peak
		}
		if g.Bandwidth > 0 {
			p.OfBandwidth = p.GBs * 1e9 / g.Bandwidth
		}
		r.Products = append(r.Products, p)
		if p.Form == nil {
			r.Rates[p.Name()] = 1e3 * p.TFLOPS
		}
		g.tell(p)
	}
	return nil
}

// kernel is the call that is measured.
func (p Product) kernel() kernels.Matmul {
	return kernels.Matmul{Batch: 1, M: p.M, N: p.N, K: p.K, TransA: p.Layout[0] == 'T', TransB: p.Layout[1] == 'T'}
}

// operands are a and b with the places of their first numbers in the stock, and c.
type operands struct {
	a, b, c      *tensor.Tensor
	fromA, fromB int
}

func (g *gemmMeter) measure(p *Product, dt tensor.DType) error {
	scope := g.device.Scope()
	defer scope.Close()
	k := p.kernel()
	x, err := g.operands(k, dt)
	if err != nil {
		return err
	}
	run := func(calls int) (time.Duration, error) {
		began := time.Now()
		for range calls {
			g.device.Run(k, x.c, x.a, x.b, nil)
		}
		_, err := x.c.View(0, 1).Float32s()
		return time.Since(began), err
	}
	if _, err := run(1); err != nil { // compiles
		return err
	}
	took, err := run(1)
	for p.Calls = 1; took < g.Round/2 && p.Calls < 4096 && err == nil; {
		p.Calls = min(4096, max(2*p.Calls, int(float64(p.Calls)*float64(g.Round)/float64(took+1))))
		took, err = run(p.Calls)
	}
	times := make([]float64, g.Rounds)
	for i := range times {
		if took, err = run(p.Calls); err != nil {
			return err
		}
		times[i] = ms(took) / float64(p.Calls)
	}
	flops := 2 * float64(p.M) * float64(p.N) * float64(p.K)
	p.Best, p.Milliseconds = flops/slices.Min(times)/1e9, median(times)
	p.TFLOPS = flops / p.Milliseconds / 1e9
	p.GBs = float64(x.a.Bytes()+x.b.Bytes()+x.c.Bytes()) / p.Milliseconds / 1e6
	p.Deviation, err = g.deviation(k, x)
	return err
}

func (g *gemmMeter) operands(k kernels.Matmul, dt tensor.DType) (x operands, err error) {
	stored := func(rows, columns int, transposed bool) (int, int) {
		if transposed {
			return columns, rows
		}
		return rows, columns
	}
	others := dt
	if dt.IsQuantized() {
		others = tensor.F32
	}
	am, ak := stored(k.M, k.K, k.TransA)
	bk, bn := stored(k.K, k.N, k.TransB)
	if dt.IsQuantized() && bn%dt.BlockLen() != 0 {
		return x, fmt.Errorf("rows of b have %d numbers: want whole blocks of %d in %s", bn, dt.BlockLen(), dt)
	}
	x.a, x.b, x.c = g.device.New(others, am, ak), g.device.New(dt, bk, bn), g.device.New(others, k.M, k.N)
	if x.fromA, err = g.stock.fill(x.a); err == nil {
		x.fromB, err = g.stock.fill(x.b)
	}
	return x, err
}

// deviation compares some elements of c with sums in float64.
func (g *gemmMeter) deviation(k kernels.Matmul, x operands) (worst float64, err error) {
	a, err := g.stock.numbers(g.device, x.a.DType())
	if err != nil {
		return 0, err
	}
	b, err := g.stock.numbers(g.device, x.b.DType())
	if err != nil {
		return 0, err
	}
	r := random.NewStream(1, random.Test, 0, 0)
	for n := range 16 {
		i, j := r.IntN(k.M), r.IntN(k.N)
		if n == 0 {
			i, j = k.M-1, k.N-1
		}
		sum := 0.0
		for l := range k.K {
			atA, atB := i*k.K+l, l*k.N+j
			if k.TransA {
				atA = l*k.M + i
			}
			if k.TransB {
				atB = j*k.K + l
			}
			sum += float64(a[(x.fromA+atA)%normals.Len]) * float64(b[(x.fromB+atB)%normals.Len])
		}
		got, err := x.c.View(i*k.N+j, 1).Float32s()
		if err != nil {
			return 0, err
		}
		off := math.Abs(float64(got[0])-sum) / math.Sqrt(float64(k.K))
		if math.IsNaN(off) {
			off = math.MaxFloat64
		}
		worst = max(worst, off)
	}
	return worst, nil
}
