package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/tensor"
)

func benchGEMMCommand() *cobra.Command {
	var o bench.GEMMOptions
	var dtypes, sizes, forms []string
	var sweep bool
	var memoryLimit memorySize
	var peak float64      // TFLOP/s
	var bandwidth float64 // GB/s
	var asJSON bool
	var beside besideFlags
	var precision matmulPrecision
	c := &cobra.Command{
		Use:   "gemm",
		Short: "Measure how fast a device multiplies matrices",
		Long: `Multiplies matrices of random numbers by the kernel of a model's linear layers, c [M, N] = a [M, K] b [K, N],
in the three layouts of training: NT (b stored transposed: a layer's output), NN (its input's gradient) and TN (a stored
transposed: its weight's gradient). Many products are given to the device at once and timed together. Some elements of each
result are compared with sums in double precision, and one that is wrong is an error.

A Vulkan device may have several shaders for this kernel, each for tiles of several sizes, of which it chooses. --sweep
measures every one, and tells which is the fastest; --form measures those named.`,
		Example: "  agora bench gemm --sizes 1024,2048x4096x4096 --dtype f32,bf16\n" +
			"  agora bench gemm --sizes 1x4096x4096 --layouts NT --dtype q8\n" +
			"  agora bench gemm --device vulkan --sizes 4096 --dtype bf16 --form matmul_coopmat=256:128x128x32",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.DTypes, err = parseDTypes(dtypes); err != nil {
				return err
			}
			if o.Sizes, err = parseSizes(sizes); err != nil {
				return err
			}
			if len(o.Layouts) == 0 {
				return errors.New("--layouts: want at least one, got none")
			}
			for _, l := range o.Layouts {
				if !slices.Contains(bench.Layouts, l) {
					return fmt.Errorf("--layouts: want %s, got %q", strings.Join(bench.Layouts, ", "), l)
				}
			}
			if o.Forms, err = parseForms(forms); err != nil {
				return err
			}
			if sweep {
				o.Forms = append(bench.Forms(), o.Forms...)
			}
			o.MemoryLimit, o.Peak = int(memoryLimit), peak*1e12
			o.Bandwidth, o.MatmulPrecision = bandwidth*1e9, precision.Precision
			if len(o.Forms) > 0 && precision.Precision != cpu.Highest {
				return fmt.Errorf("--matmul-precision: want %s with --sweep and --form, which are of a Vulkan device, got %s",
					cpu.Highest, precision.Precision)
			}
			if beside.asked(c) {
				return besideGEMM(c, beside, o, asJSON)
			}
			o.Notice = func(line string) { fmt.Fprintln(c.ErrOrStderr(), line) }
			show := printProducts(c.OutOrStdout())
			if asJSON {
				show = func(bench.Product) {}
			}
			r, err := bench.MeasureGEMM(c.Context(), o, show)
			if len(r.Products) == 0 {
				return err
			}
			if asJSON { // what an error or an interruption has left, here and below
				if failed := printJSON(c.OutOrStdout(), r); err == nil {
					err = failed
				}
			} else {
				fmt.Fprintf(c.OutOrStdout(), "device: %s%s\n", printable.Name(r.Device), ofPrecision(r.MatmulPrecision))
				printFastest(c.OutOrStdout(), r.Products)
			}
			for _, p := range r.Products {
				if !p.Right() {
					err = errors.Join(err, fmt.Errorf("%s: elements are wrong by up to %.3g of their deviation",
						productName(p), p.Deviation))
				}
			}
			return err
		},
	}
	c.Flags().StringVar(&o.Device, "device", "auto", "what to measure: "+device.Names)
	c.Flags().IntVar(&o.Threads, "threads", 0, "threads of the CPU; 0 means all")
	c.Flags().Var(&memoryLimit, "memory-limit", memoryLimitUsage)
	precision.register(c)
	c.Flags().StringSliceVar(&dtypes, "dtype", []string{"f32"},
		"types of the numbers: f32, bf16, f16; of b alone: q8, q4, q4_k, nf4")
	c.Flags().StringSliceVar(&sizes, "sizes", []string{"1024", "2048x96x4096", "1x4096x4096"},
		"N for N x N x N, or MxNxK")
	c.Flags().StringSliceVar(&o.Layouts, "layouts", bench.Layouts, "which of the layouts")
	c.Flags().BoolVar(&sweep, "sweep", false, "measure every shader of the kernel with several tiles, on a Vulkan "+
		"device")
	c.Flags().StringArrayVar(&forms, "form", nil, "measure this shader with this tile, SHADER=GROUP:MxNxK, on a "+
		"Vulkan device; may be repeated")
	c.Flags().IntVar(&o.Rounds, "rounds", 5, "measurements of a product, of which the median counts, and the best")
	c.Flags().DurationVar(&o.Round, "round", 100*time.Millisecond, "how long a measurement takes, about")
	c.Flags().Float64Var(&peak, "peak", 0, "TFLOP/s that the device could do, to tell the share; 0: measured on the "+
		"CPU, unknown elsewhere")
	c.Flags().Float64Var(&bandwidth, "bandwidth", 0,
		"GB/s that the device could read, to tell the share of that where none of a peak is known: few rows are "+
			"limited by it")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	beside.register(c, "'python3 tools/beside/torch_gemm.py'")
	return c
}

// productsTask are products as another program is told of them. It prints their GFLOP/s by the names.
type productsTask struct {
	Products []namedProduct `json:"products"`
	Rounds   int            `json:"rounds"`
	Seconds  float64        `json:"seconds"` // of a round, about
	Threads  int            `json:"threads"`
}

type namedProduct struct {
	Name   string `json:"name"`
	DType  string `json:"dtype"`
	Layout string `json:"layout"` // of bench.Product
	M      int    `json:"m"`
	N      int    `json:"n"`
	K      int    `json:"k"`
}

func besideGEMM(c *cobra.Command, beside besideFlags, o bench.GEMMOptions, asJSON bool) error {
	if len(o.Forms) > 0 {
		return errors.New("--beside: want it without --sweep and --form, got both")
	}
	task := productsTask{Rounds: o.Rounds, Seconds: o.Round.Seconds(), Threads: cmp.Or(o.Threads, runtime.NumCPU())}
	var names []string
	for _, p := range o.List() {
		task.Products = append(task.Products, namedProduct{p.Name(), p.DType, p.Layout, p.M, p.N, p.K})
		names = append(names, p.Name())
	}
	return beside.run(c, task, asJSON, names...)
}

func parseDTypes(names []string) (list []tensor.DType, err error) {
	for _, name := range names {
		dt, err := parseDType("dtype", name, tensor.WeightTypes()...)
		if err != nil {
			return nil, err
		}
		list = append(list, dt)
	}
	if len(list) == 0 {
		return nil, errors.New("--dtype: want at least one, got none")
	}
	return list, nil
}

// maxSide keeps the elements of a matrix within 32 bits.
const maxSide = 1 << 15

func parseSizes(texts []string) (list [][3]int, err error) {
	for _, text := range texts {
		parts := strings.Split(text, "x")
		if len(parts) == 1 {
			parts = []string{text, text, text}
		}
		var size [3]int
		if len(parts) != len(size) {
			return nil, fmt.Errorf("--sizes: want N or MxNxK, got %q", text)
		}
		for i, part := range parts {
			if size[i], err = strconv.Atoi(part); err != nil || size[i] < 1 || size[i] > maxSide {
				return nil, fmt.Errorf("--sizes: want N or MxNxK of whole numbers from 1 to %d, got %q", maxSide, text)
			}
		}
		list = append(list, size)
	}
	if len(list) == 0 {
		return nil, errors.New("--sizes: want at least one, got none")
	}
	return list, nil
}

func parseForms(texts []string) (list []bench.Form, err error) {
	for _, text := range texts {
		f, err := bench.ParseForm(text)
		if err != nil {
			return nil, fmt.Errorf("--form: %w", err)
		}
		list = append(list, f)
	}
	return list, nil
}

// ofPrecision says how products of f32 were computed, unless they were as always.
func ofPrecision(p cpu.Precision) string {
	if p == cpu.Highest {
		return ""
	}
	return ", products of f32 in " + string(p) + " precision"
}

// productName says what was multiplied, and how.
func productName(p bench.Product) string {
	name := fmt.Sprintf("%-4s %s %d x %d x %d", p.DType, p.Layout, p.M, p.N, p.K)
	if p.Form != nil {
		name += ", " + p.Form.String()
	}
	return name
}

// printProducts gives a function that prints the lines of a table as they are known.
func printProducts(w io.Writer) func(bench.Product) {
	const head = "%-56s %10s %9s %9s %9s %7s %10s\n"
	first := true
	return func(p bench.Product) {
		if first {
			fmt.Fprintf(w, head, "type, layout, M x N x K", "ms", "TFLOP/s", "best", "GB/s", "share", "deviation")
			first = false
		}
		if p.Problem != "" {
			fmt.Fprintf(w, "%s: %s\n", p.Form, p.Problem)
			return
		}
		share := ""
		if p.Utilization > 0 {
			share = fmt.Sprintf("%.1f %%", 100*p.Utilization)
		} else if p.OfBandwidth > 0 {
			share = fmt.Sprintf("%.1f %%", 100*p.OfBandwidth)
		}
		fmt.Fprintf(w, head, productName(p), fmt.Sprintf("%.4g", p.Milliseconds), fmt.Sprintf("%.4g", p.TFLOPS),
			fmt.Sprintf("%.4g", p.Best), fmt.Sprintf("%.4g", p.GBs), share, fmt.Sprintf("%.1e", p.Deviation))
	}
}

// printFastest prints the fastest form of each product, where there are several.
func printFastest(w io.Writer, products []bench.Product) {
	fastest := map[string]bench.Product{}
	var order []string
	for _, p := range products {
		if p.Form == nil || p.Problem != "" || !p.Right() {
			continue
		}
		form := p.Form
		p.Form = nil
		name := productName(p)
		best, known := fastest[name]
		if !known {
			order = append(order, name)
		}
		if p.Form = form; p.TFLOPS > best.TFLOPS {
			fastest[name] = p
		}
	}
	for _, name := range order {
		p := fastest[name]
		fmt.Fprintf(w, "fastest: %s, %.4g TFLOP/s\n", productName(p), p.TFLOPS)
	}
}
