package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// compilerVersion is the first line of glslc --version. One compiler, so that
// the committed SPIR-V can be rebuilt byte for byte.
const compilerVersion = "shaderc 2025.2-1"

// flags are the compiler's for every kernel. Vulkan 1.3 as the target would
// write LocalSizeId, which needs maintenance4. So do matrices of workgroups, which are SPIR-V 1.6.
var flags = []string{"-fshader-stage=compute", "-std=460", "--target-env=vulkan1.2"}

// build is one SPIR-V of a kernel.
type build struct {
	name   string // of the file
	matrix string // the type that cooperative matrices compute in: f16 or bf16; "" for all others
}

// builds are one of a kernel, or one for each type of an alternative.
func (k *kernel) builds() []build {
	if k.needs == "" {
		return []build{{k.name, ""}}
	}
	var list []build
	for _, t := range k.types {
		list = append(list, build{k.name + "_" + t, t})
	}
	return list
}

// own are the flags of one kernel: they tell kernel.glsl what the header says. The optimizer is known to
// break cooperative matrices, so that a driver gets them as they are written.
func (k *kernel) own() []string {
	list := []string{fmt.Sprintf("-DBINDINGS=%d", len(k.bindings))}
	switch k.needs {
	case "":
		list = append(list, "-O")
	case cooperativeMatrix2:
		list = append(list, "--target-spv=spv1.6")
	}
	for i, t := range k.tile[1:] {
		list = append(list, fmt.Sprintf("-DTILE%d=%s", i+1, t.name))
	}
	return list
}

// compile writes what the kernels' bodies compile to: NAME.spv beside every NAME.comp of another program. Agora's
// are in the folder spv, with a manifest; in bound/ if arguments are bound, and then without alternatives, which
// touch memory as their kernel does. Kernels without a
// body are compiled too, to check their header, and thrown away.
func (g *generator) compile(src sources, kernels []*kernel) error {
	glsl, err := compiler(g.dir, g.glslc)
	if err != nil {
		return err
	}
	if g.own() {
		spv, err := src.compile(glsl, kernels, nil)
		if err != nil {
			return err
		}
		return writeSPIRV(g.out, spv)
	}
	version, err := glsl("", "--version")
	if err != nil {
		return err
	}
	if first, _, _ := strings.Cut(string(version), "\n"); first != compilerVersion {
		return fmt.Errorf("%s: compiler is %q, want %q", g.glslc, first, compilerVersion)
	}
	folder, form := filepath.Join(g.out, "spv"), []string(nil)
	if g.bound {
		folder, form = filepath.Join(g.out, "bound"), []string{"-DBOUND"}
		kernels = slices.DeleteFunc(slices.Clone(kernels), func(k *kernel) bool { return k.base != "" })
	}
	spv, err := src.compile(glsl, kernels, form)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := writeSPIRV(folder, spv); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "MANIFEST"), []byte(manifest(src, kernels, spv)), 0o644)
}

// compile gives the SPIR-V of every build of kernels with a body, by name.
func (src sources) compile(glsl glslCompiler, kernels []*kernel, form []string) (map[string][]byte, error) {
	includes, err := os.MkdirTemp("", "agora-gen")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(includes)
	if err := os.Mkdir(filepath.Join(includes, "include"), 0o755); err != nil {
		return nil, err
	}
	for name, text := range src {
		if strings.HasPrefix(name, "include/") {
			if err := os.WriteFile(filepath.Join(includes, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
				return nil, err
			}
		}
	}
	spv := map[string][]byte{}
	for _, k := range kernels {
		text := src[k.name+".comp"]
		if !k.body && form != nil { // checked in the first form; it may have more bindings than others name
			continue
		}
		if !k.body {
			text += "\nvoid main() {}\n"
		}
		out, err := glsl(text, slices.Concat(flags, k.own(), form, []string{"-I" + includes, "-o", "-", "-"})...)
		if err != nil {
			return nil, fmt.Errorf("%s.comp: %w", k.name, err)
		}
		if out, err = withRounding(out); err != nil {
			return nil, fmt.Errorf("%s.comp: %w", k.name, err)
		}
		for _, b := range k.builds() {
			if !k.body {
				continue
			}
			if spv[b.name] = out; b.matrix == "bf16" {
				if spv[b.name], err = withBFloat16(out); err != nil {
					return nil, fmt.Errorf("%s.comp: %w", k.name, err)
				}
			}
		}
	}
	return spv, nil
}

func writeSPIRV(folder string, spv map[string][]byte) error {
	for name, code := range spv {
		if err := os.WriteFile(filepath.Join(folder, name+".spv"), code, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// glslCompiler runs the compiler.
type glslCompiler func(stdin string, args ...string) ([]byte, error)

// compiler gives a function that runs the compiler in a folder.
func compiler(dir, glslc string) (glslCompiler, error) {
	command := strings.Fields(glslc)
	if len(command) > 0 && strings.Contains(command[0], "/") {
		abs, err := filepath.Abs(command[0])
		if err != nil {
			return nil, err
		}
		command[0] = abs
	}
	return func(stdin string, args ...string) ([]byte, error) {
		cmd := exec.Command(command[0], append(command[1:len(command):len(command)], args...)...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, &stderr)
		}
		return out, nil
	}, nil
}

// manifest says what every .spv was made from: a line each, with the sha256
// of the source and its includes, that of the SPIR-V, and the kernel's own flags.
func manifest(src sources, kernels []*kernel, spv map[string][]byte) string {
	var w strings.Builder
	fmt.Fprintf(&w, "compiler %s\nflags %s\n", compilerVersion, strings.Join(flags, " "))
	for _, k := range kernels {
		for _, b := range k.builds() {
			if k.body {
				fmt.Fprintf(&w, "%s source=%x spv=%x %s\n", b.name, src.hash(k.name+".comp"),
					sha256.Sum256(spv[b.name]), strings.Join(k.own(), " "))
			}
		}
	}
	return w.String()
}

// hash is the sha256 of a file and of what it includes, each once, in order.
func (src sources) hash(file string) []byte {
	h := sha256.New()
	seen := map[string]bool{}
	var add func(file string)
	add = func(file string) {
		if seen[file] {
			return
		}
		seen[file] = true
		fmt.Fprintf(h, "%s %d\n%s", file, len(src[file]), src[file])
		for _, s := range strings.Split(src[file], "\n") {
			if m := includeRE.FindStringSubmatch(s); m != nil {
				add(m[1])
			}
		}
	}
	add(file)
	return h.Sum(nil)
}
