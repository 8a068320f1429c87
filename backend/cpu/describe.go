package cpu

import (
	"runtime"

	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/backend/cpu/internal/vec"
	"github.com/agora-ml/agora/internal/cpulevel"
	"golang.org/x/sys/cpu"
)

// Description says what the backend found and will use.
type Description struct {
	Architecture string   `json:"architecture"`
	Threads      int      `json:"threads"`
	Features     []string `json:"features"`          // those that kernels look for
	GEMM         string   `json:"gemm"`              // the matrix kernel in use
	GEMMBF16     string   `json:"gemm_bf16"`         // that of products of bfloat16; "": they are widened for GEMM
	GEMMParts    string   `json:"gemm_parts"`        // what computes High products; "": they are as by Highest
	Integers     string   `json:"integers"`          // what Options.RoundActivations computes with; "": nothing is rounded
	Vectors      string   `json:"vectors"`           // the routines in use for all else
	Unused       string   `json:"unused,omitempty"`  // a better kernel that is not used although some of its features are there, and what it lacks
	Tiles        string   `json:"tiles,omitempty"`   // why AMX is not used, which the processor has
	Problem      string   `json:"problem,omitempty"` // why the backend cannot be opened
	Available    int      `json:"available_memory"`  // bytes free for tensors; 0: unknown
}

// Describe looks at this machine.
func Describe() Description {
	d := Description{
		Architecture: runtime.GOARCH, Threads: runtime.GOMAXPROCS(0), Features: []string{},
		GEMM: gemm.Kernel(), GEMMBF16: gemm.KernelBF16(), Vectors: vec.Implementation(), Available: availableMemory(),
		GEMMParts: gemm.KernelParts(), Integers: gemm.Integers(), Unused: cpulevel.Lacking(),
	}
	if cpulevel.Chosen() == cpulevel.AMX {
		if err := cpulevel.Tiles(); err != nil {
			d.Tiles = err.Error()
		}
	}
	if err := cpulevel.Err(); err != nil {
		d.Problem = err.Error()
	}
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"avx2", cpu.X86.HasAVX2}, {"fma", cpu.X86.HasFMA}, {"avx512f", cpu.X86.HasAVX512F},
		{"avx512bf16", cpu.X86.HasAVX512BF16}, {"avx512vnni", cpu.X86.HasAVX512VNNI},
		{"amx", cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16}, {"asimd", cpu.ARM64.HasASIMD},
		{"asimddp", cpu.ARM64.HasASIMDDP}, {"i8mm", cpu.ARM64.HasI8MM}, {"bf16", cpulevel.Supported() == cpulevel.NEONBF16},
	} {
		if f.has {
			d.Features = append(d.Features, f.name)
		}
	}
	return d
}
