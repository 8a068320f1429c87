// Command gpustats says what the compilers of real GPUs make of Agora's kernels, without a GPU: registers, spills,
// shared memory, waves, and what stands in the loops. Debian's mesa-drm-shim pretends that a card is there, Mesa's
// drivers compile for it, and nothing runs. docs/gpu.md says how to read it.
//
//	go run ./tools/gpustats                         compare with tools/gpustats/golden
//	go run ./tools/gpustats -update                 write that anew
//	go run ./tools/gpustats -family navi31 -match 'coopmat|attention' -print
//	go run ./tools/gpustats -family navi31 -list FILE -print
//	go run ./tools/gpustats -family navi31 -- ./agora doctor
//
// -list takes other programs' pipelines in place of Agora's: a line of name, file of SPIR-V, size of subgroups (0: any)
// and specialization constants ID=VALUE each; a shader's bindings are storage buffers of set 0.
//
// The last runs a program where a card seems to be: whatever it computes there is zeros.
//
// It needs Debian or a relative on amd64, a C compiler and the packages that it unpacks into tools/.gpu.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// families are the cards that are compiled for: RADV's names, and chipsets of NVK.
const families = "navi31,gfx1201,navi21,0x177"

// packages are Debian's. Drivers and shim are of one version, because they come from one suite.
var packages = []string{"libvulkan1", "libvulkan-dev", "mesa-vulkan-drivers/trixie-backports",
	"mesa-drm-shim/trixie-backports"}

const here = "tools/gpustats" // in the module's root, where it is run

func main() {
	update := flag.Bool("update", false, "write the golden files anew")
	show := flag.Bool("print", false, "print the figures")
	chosen := flag.String("family", families, "the cards, by comma")
	match := flag.String("match", "", "only pipelines whose name matches")
	list := flag.String("list", "", "with -print: a file of other pipelines")
	keep := flag.String("keep", "", "folder for SPIR-V and assembly; it is left there")
	flag.Parse()
	var err error
	if flag.NArg() > 0 {
		err = runProgram(strings.Split(*chosen, ","), flag.Args())
	} else {
		err = run(strings.Split(*chosen, ","), *match, *list, *keep, *update, *show)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gpustats:", err)
		os.Exit(1)
	}
}

func run(families []string, match, others, keep string, update, show bool) error {
	pattern, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	if err := possible(families, match, others, update, show); err != nil {
		return err
	}
	dir := keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "gpustats"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	t, err := unpack()
	if err == nil {
		err = t.build(dir)
	}
	if err != nil {
		return err
	}
	failed := 0
	for _, family := range families {
		list, err := t.figures(family, others, pattern)
		if err != nil {
			return fmt.Errorf("%s: %w", family, err)
		}
		golden := goldenFile(family)
		switch {
		case show:
			fmt.Printf("# %s, Mesa %s\n", family, t.mesa)
			for _, f := range list {
				fmt.Print(f)
			}
		case update:
			err = write(golden, family, t.mesa, list)
		default:
			var n int
			n, err = compare(golden, t.mesa, list, match == "")
			failed += n
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d things got worse: mend them, or see docs/gpu.md and go run ./%s -update", failed, here)
	}
	return nil
}

func goldenFile(family string) string { return filepath.Join(here, "golden", family+".txt") }

// possible finds what cannot be done before minutes are spent on the rest.
func possible(families []string, match, others string, update, show bool) error {
	switch {
	case update && show:
		return fmt.Errorf("-update: want no -print beside it")
	case update && match != "":
		return fmt.Errorf("-update: want all pipelines, without -match")
	case others != "" && !show:
		return fmt.Errorf("-list: want -print, since the golden files are of Agora's pipelines")
	case update || show:
		return nil
	}
	for _, family := range families {
		if _, err := os.Stat(goldenFile(family)); err != nil {
			return fmt.Errorf("%s: %w: -print tells the figures of a card without one", family, err)
		}
	}
	return nil
}

func write(golden, family, mesa string, list []figures) error {
	var w strings.Builder
	fmt.Fprintf(&w, "# %s by the compiler of Mesa %s. Made by go run ./%s -update; docs/gpu.md explains it.\n", family,
		mesa, here)
	for _, f := range list {
		w.WriteString(f.String())
	}
	return os.WriteFile(golden, []byte(w.String()), 0o644)
}

// compare prints what got worse and counts it; all says that list has every pipeline. Figures of another Mesa are
// compared and do not count, since nobody here has changed its compiler.
func compare(golden, mesa string, list []figures, all bool) (int, error) {
	text, err := os.ReadFile(golden)
	if err != nil {
		return 0, err
	}
	head, _, _ := strings.Cut(string(text), "\n")
	if !strings.Contains(head, " by the compiler of Mesa ") {
		return 0, fmt.Errorf("%s: want a first line that names the version of Mesa, got %q", golden, head)
	}
	was, err := parseFigures(string(text))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", golden, err)
	}
	var said []string
	byName := map[string]figures{}
	for _, f := range was {
		byName[f.Name] = f
	}
	for _, f := range list {
		if w, ok := byName[f.Name]; ok {
			said = append(said, worse(w, f)...)
		} else {
			said = append(said, f.Name+": is not in the golden file")
		}
		delete(byName, f.Name)
	}
	for _, w := range was {
		if _, left := byName[w.Name]; left && all {
			said = append(said, w.Name+": is no longer made")
		}
	}
	for _, s := range said {
		fmt.Printf("%s: %s\n", golden, s)
	}
	if !strings.Contains(head, "Mesa "+mesa+".") {
		fmt.Printf("%s was not made by Mesa %s: what got worse does not count\n", golden, mesa)
		return 0, nil
	}
	fmt.Printf("%s: %d pipelines compared, %d things worse\n", golden, len(list), len(said))
	return len(said), nil
}

// tools are what unpack has brought and build has made.
type tools struct {
	root, mesa        string // of the packages; their version of Mesa
	libraries, loader string // the packages' own, and their loader of programs
	dir               string
	lister            string // lists pipelines: the tests of backend/vulkan
	probe             string // compiles them
}

// unpack brings the packages, once.
func unpack() (*tools, error) {
	folder, err := filepath.Abs("tools/.gpu")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(folder, "run")); err != nil {
		if err := execute(nil, "tools/vktools.sh", append([]string{folder}, packages...)...); err != nil {
			return nil, err
		}
	}
	t := &tools{root: filepath.Join(folder, "root")}
	t.libraries = filepath.Join(t.root, "usr/lib/x86_64-linux-gnu")
	t.loader = filepath.Join(t.libraries, "ld-linux-x86-64.so.2")
	versions := map[string]bool{}
	for _, name := range []string{"mesa-drm-shim", "mesa-vulkan-drivers"} {
		files, err := filepath.Glob(filepath.Join(folder, "apt/archives", name+"_*_amd64.deb"))
		if err != nil || len(files) != 1 {
			return nil, fmt.Errorf("%s: want one package %s, found %d: remove the folder", folder, name, len(files))
		}
		t.mesa = strings.Split(filepath.Base(files[0]), "_")[1]
		versions[t.mesa] = true
	}
	if len(versions) != 1 {
		return nil, fmt.Errorf("%s: shim and driver are of different versions of Mesa: remove the folder", folder)
	}
	return t, nil
}

// build makes both programs.
func (t *tools) build(dir string) (err error) {
	if t.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	t.lister, t.probe = filepath.Join(t.dir, "lister"), filepath.Join(t.dir, "probe")
	if err := execute(nil, "gcc", "-O1", "-Wall", "-Werror", "-I"+filepath.Join(t.root, "usr/include"),
		filepath.Join(here, "probe/probe.c"), "-o", t.probe, "-ldl"); err != nil {
		return err
	}
	return execute([]string{"CGO_ENABLED=1"}, "go", "test", "-c", "-o", t.lister, "./backend/vulkan")
}

// runProgram runs a program where a card of each family seems to be.
func runProgram(families, program []string) error {
	t, err := unpack()
	if err != nil {
		return err
	}
	for _, family := range families {
		cmd := t.pretend(family, program[0], program[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %s: %w", family, program[0], err)
		}
	}
	return nil
}

// figures are those of the pipelines that a card gets, or of the file others, and whose name matches.
func (t *tools) figures(family, others string, match *regexp.Regexp) ([]figures, error) {
	dir := filepath.Join(t.dir, family)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "pipelines")
	if others == "" {
		lister := t.pretend(family, t.lister, "-test.run", "^TestListPipelines$", "-test.count=1")
		lister.Env = append(lister.Env, "AGORA_LIST_PIPELINES="+dir)
		if err := finish(lister); err != nil {
			return nil, err
		}
		others = list
	}
	text, err := os.ReadFile(others)
	if err != nil {
		return nil, err
	}
	var lines, names []string
	for line := range strings.Lines(string(text)) {
		if name, _, _ := strings.Cut(line, " "); match.MatchString(name) {
			lines, names = append(lines, line), append(names, name)
		}
	}
	if names == nil {
		return nil, fmt.Errorf("no pipeline's name matches %s", match)
	}
	if err := os.WriteFile(list, []byte(strings.Join(lines, "")), 0o644); err != nil {
		return nil, err
	}
	if err := finish(t.pretend(family, t.probe, dir)); err != nil {
		return nil, err
	}
	var all []figures
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name+".txt"))
		if err != nil {
			return nil, err
		}
		f, err := read(name, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// pretend is a program where a card of the family seems to be.
func (t *tools) pretend(family, program string, args ...string) *exec.Cmd {
	shim, driver, variable := "amdgpu", "radeon", "AMDGPU_GPU_ID"
	if strings.HasPrefix(family, "0x") {
		shim, driver, variable = "nouveau", "nouveau", "NOUVEAU_CHIPSET"
	}
	cmd := exec.Command(t.loader, append([]string{"--preload",
		filepath.Join(t.libraries, "lib"+shim+"_noop_drm_shim.so"), "--library-path", t.libraries, program}, args...)...)
	cmd.Env = append(os.Environ(), variable+"="+family, "VK_LOADER_LAYERS_DISABLE=~implicit~",
		"MESA_SHADER_CACHE_DISABLE=true",
		"VK_DRIVER_FILES="+filepath.Join(t.root, "usr/share/vulkan/icd.d", driver+"_icd.json"))
	return cmd
}

// execute runs a program.
func execute(env []string, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	return finish(cmd)
}

// finish runs a command; its error holds what it said.
func finish(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}
