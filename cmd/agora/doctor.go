package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/internal/version"
)

// report is what doctor finds.
type report struct {
	Version string          `json:"version"`
	Go      string          `json:"go"`
	OS      string          `json:"os"`
	CPU     cpu.Description `json:"cpu"`
	Vulkan  vulkanReport    `json:"vulkan"`
}

// vulkanReport is what doctor finds of Vulkan.
type vulkanReport struct {
	Devices []vulkan.Info `json:"devices"`
	Problem string        `json:"problem,omitempty"` // why there are none
	Auto    string        `json:"auto"`              // what --device auto takes
}

func findVulkan() vulkanReport {
	list, err := vulkan.Devices()
	r := vulkanReport{Devices: list, Auto: "cpu"}
	if err != nil {
		r.Problem = err.Error()
	} else if best, err := vulkan.Best(list, false); err == nil {
		r.Auto = fmt.Sprintf("vulkan:%d", best.Index)
	}
	return r
}

// lines describe every device, a fact a line.
func (r vulkanReport) lines() (lines [][2]string) {
	if r.Problem != "" {
		lines = append(lines, [2]string{"vulkan", r.Problem})
	}
	for _, d := range r.Devices {
		has := func(there bool, name string) string {
			if there {
				return name
			}
			return "no " + name
		}
		free := "the driver does not say how much is free"
		if d.Free >= 0 {
			free = fmt.Sprintf("%.1f GiB free", float64(d.Free)/(1<<30))
		}
		use := "usable"
		if err := d.Usable(); err != nil {
			use = "not usable: " + err.Error()
		}
		matrices := "none"
		if len(d.Cooperative) > 0 {
			matrices = strings.Join(d.Cooperative, ", ")
		}
		auto := "f32: no matrices of bf16 or f16 that are faster"
		if _, why := device.AutoDTypeOn(d); why != "" {
			auto = why
		}
		workgroups := "none"
		if len(d.Workgroups) > 0 {
			workgroups = strings.Join(d.Workgroups, ", ")
		}
		alternatives := "the same shaders as everywhere"
		if len(d.Alternatives) > 0 {
			alternatives = strings.Join(d.Alternatives, ", ")
		}
		if len(d.OnRequest) > 0 {
			alternatives += fmt.Sprintf("; with %s=1 %s", vulkan.WorkgroupMatricesVariable, strings.Join(d.OnRequest, ", "))
		}
		processors := "the driver does not say how many"
		if d.Processors > 0 {
			processors = fmt.Sprintf("%d that take workgroups", d.Processors)
		}
		l := d.Limits
		lines = append(lines,
			[2]string{fmt.Sprintf("vulkan:%d", d.Index), fmt.Sprintf("%s, %s, %s", d.Name, d.Kind, use)},
			[2]string{"  driver", d.Driver + ", Vulkan " + d.API},
			[2]string{"  memory", fmt.Sprintf("%.1f GiB, %s; one tensor at most %.1f GiB", float64(d.Memory)/(1<<30),
				free, float64(l.Allocation)/(1<<30))},
			[2]string{"  workgroups", fmt.Sprintf("%d x %d x %d of %d invocations with %d KiB", l.Groups[0],
				l.Groups[1], l.Groups[2], l.Invocations, l.Shared>>10)},
			[2]string{"  processors", processors},
			[2]string{"  subgroups", fmt.Sprintf("%d invocations (%d to %d)", d.Subgroup[0], d.Subgroup[1],
				d.Subgroup[2])},
			[2]string{"  numbers", strings.Join([]string{
				has(d.Storage16, "16-bit storage"), has(d.Storage8, "8-bit storage"), has(d.Float16, "f16 arithmetic"),
				has(d.BFloat16, "bf16 arithmetic"), has(d.Int8, "8-bit arithmetic"),
			}, ", ")},
			[2]string{"  rounding to f16", d.Halves},
			[2]string{"  matrices", matrices},
			[2]string{"  of workgroups", workgroups},
			[2]string{"  --dtype auto", auto},
			[2]string{"  kernels", alternatives},
			[2]string{"  streams", "offloaded weights by " + string(d.Streams)},
			[2]string{"  timestamps", has(d.Timestamps, "clock on the device")},
		)
	}
	return append(lines, [2]string{"--device auto", r.Auto})
}

func doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has and what Agora will use of it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r := report{
				Version: version.String(), Go: runtime.Version(), OS: runtime.GOOS, CPU: cpu.Describe(),
				Vulkan: findVulkan(),
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			memory := "unknown"
			if r.CPU.Available > 0 {
				memory = fmt.Sprintf("%.1f GiB", float64(r.CPU.Available)/(1<<30))
			}
			features := "none that kernels use"
			if len(r.CPU.Features) > 0 {
				features = strings.Join(r.CPU.Features, ", ")
			}
			bf16 := "none: bf16 is widened"
			if r.CPU.GEMMBF16 != "" {
				bf16 = r.CPU.GEMMBF16
			}
			parts := "none: --matmul-precision high is as highest"
			if r.CPU.GEMMParts != "" {
				parts = r.CPU.GEMMParts
			}
			integers := "none: --round-activations changes nothing"
			if r.CPU.Integers != "" {
				integers = r.CPU.Integers
			}
			lines := [][2]string{
				{"agora", r.Version}, {"go", r.Go + ", " + r.OS + "/" + r.CPU.Architecture},
				{"cpu threads", fmt.Sprint(r.CPU.Threads)}, {"cpu features", features},
				{"matrix kernel", r.CPU.GEMM}, {"bf16 matrix kernel", bf16},
				{"f32 by bf16 parts", parts},
				{"integer kernel", integers}, {"vector kernels", r.CPU.Vectors},
				{"memory for tensors", memory},
			}
			if r.CPU.Unused != "" {
				lines = append(lines, [2]string{"cpu kernels unused", r.CPU.Unused})
			}
			if r.CPU.Tiles != "" {
				lines = append(lines, [2]string{"amx", "not used: " + r.CPU.Tiles})
			}
			if r.CPU.Problem != "" {
				lines = append(lines, [2]string{"cpu problem", r.CPU.Problem})
			}
			for _, line := range append(lines, r.Vulkan.lines()...) {
				fmt.Fprintf(c.OutOrStdout(), "%-20s %s\n", line[0], printable.Name(line[1]))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
