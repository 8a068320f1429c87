package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/version"
)

// report is what doctor finds.
type report struct {
	Version string          `json:"version"`
	Go      string          `json:"go"`
	OS      string          `json:"os"`
	CPU     cpu.Description `json:"cpu"`
	Vulkan  string          `json:"vulkan"`
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
				Vulkan: "not in this version: everything runs on the CPU",
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
			for _, line := range [][2]string{
				{"agora", r.Version}, {"go", r.Go + ", " + r.OS + "/" + r.CPU.Architecture},
				{"cpu threads", fmt.Sprint(r.CPU.Threads)}, {"cpu features", features},
				{"matrix kernel", r.CPU.GEMM}, {"memory for tensors", memory}, {"vulkan", r.Vulkan},
			} {
				fmt.Fprintf(c.OutOrStdout(), "%-20s %s\n", line[0], line[1])
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
