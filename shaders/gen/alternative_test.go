package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// other is the header of an alternative to good's kernel.
var other = strings.NewReplacer("// ThingGrad", "// Other", "//tile group=64 bm=32",
	"//for thing_grad\n//needs cooperative_matrix f16 bf16\n//tile group=128 bm=64\n//tile group=256 bm=64").Replace(good) + "void main() {}\n"

func parseBoth(t *testing.T, header string) (*kernel, error) {
	t.Helper()
	k, err := parseKernel("thing_grad.comp", good, enums)
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseKernel("other.comp", header, enums)
	if err != nil {
		t.Fatal(err)
	}
	return o, checkAlternatives([]*kernel{k, o})
}

func TestAlternative(t *testing.T) {
	o, err := parseBoth(t, other)
	if err != nil {
		t.Fatal(err)
	}
	if b := o.builds(); len(b) != 2 || b[0] != (build{"other_f16", "f16"}) || b[1] != (build{"other_bf16", "bf16"}) {
		t.Errorf("builds %v", b)
	}
	if got := o.emitTiles(); got != "Tiles: []shaders.Tile{{128, 64}, {256, 64}},\n" {
		t.Errorf("tiles %s", got)
	}
}

// One that needs nothing of the device says which calls it takes.
func TestAlternativeForCalls(t *testing.T) {
	o, err := parseBoth(t, strings.Replace(other, "//needs cooperative_matrix f16 bf16\n", "//takes rows<=8 rows>=4 rows%4 !acc aligned thin\n", 1))
	if err != nil {
		t.Fatal(err)
	}
	if b := o.builds(); len(b) != 1 || b[0] != (build{"other", ""}) {
		t.Errorf("builds %v", b)
	}
	var code bytes.Buffer
	base, err := parseKernel("thing_grad.comp", good, enums)
	if err != nil {
		t.Fatal(err)
	}
	special, err := parseKernel("other.comp", other, enums)
	if err != nil {
		t.Fatal(err)
	}
	special.compiled, o.compiled = true, true
	emitAlternatives(&code, base, []*kernel{special, o})
	for _, want := range []string{`Calls: "rows<=8 rows>=4 rows%4 !acc aligned thin"`, "Aligned: true,", "Thin: true,",
		"c, ok := k.(ThingGrad); return ok && c.Rows <= 8 && c.Rows >= 4 && c.Rows%4 == 0 && !c.Acc }", `"": spirv("other")`} {
		if !strings.Contains(code.String(), want) {
			t.Errorf("no %s in\n%s", want, &code)
		}
	}
	if strings.Index(code.String(), "Calls:") > strings.Index(code.String(), `"bf16"`) {
		t.Errorf("the more special one is not the first:\n%s", &code)
	}
}

// One with matrices of workgroups says so, is SPIR-V 1.6, and stands behind those for few calls, before those for all.
func TestAlternativeOfWorkgroups(t *testing.T) {
	base, err := parseKernel("thing_grad.comp", good, enums)
	if err != nil {
		t.Fatal(err)
	}
	list := []*kernel{}
	for _, directives := range []string{"//needs cooperative_matrix f16", "//needs cooperative_matrix2 f16\n//takes rows%8 aligned",
		"//takes rows<=8"} {
		o, err := parseBoth(t, strings.Replace(other, "//needs cooperative_matrix f16 bf16", directives, 1))
		if err != nil {
			t.Fatal(err)
		}
		o.compiled = true
		list = append(list, o)
	}
	var code bytes.Buffer
	emitAlternatives(&code, base, list)
	text := code.String()
	workgroup := strings.Index(text, "Workgroup: true,")
	if strings.Count(text, "Workgroup: true,") != 1 || workgroup < strings.Index(text, `Calls: "rows<=8"`) ||
		workgroup > strings.LastIndex(text, "Name:") {
		t.Errorf("order of alternatives:\n%s", text)
	}
	for i, o := range list {
		if newer := slices.Contains(o.own(), "--target-spv=spv1.6"); newer != (i == 1) {
			t.Errorf("flags of alternative %d: %v", i, o.own())
		}
	}
}

// A lean launch is for calls that meet all of its conditions, of a kernel's own shader or of what needs matrices of subgroups.
func TestLean(t *testing.T) {
	header := strings.Replace(other, "//tile group=256 bm=64\n", "//tile group=256 bm=64\n//lean rows>=8 rows%16 group=256 bm=32\n", 1)
	o, err := parseBoth(t, header)
	if err != nil {
		t.Fatal(err)
	}
	base, err := parseKernel("thing_grad.comp", good, enums)
	if err != nil {
		t.Fatal(err)
	}
	o.compiled = true
	var code bytes.Buffer
	emitAlternatives(&code, base, []*kernel{o})
	for _, want := range []string{"Lean: []shaders.Tile{{256, 32}},\n",
		"LeanFor: func(k shaders.Kernel) bool { c, ok := k.(ThingGrad); return ok && c.Rows >= 8 && c.Rows%16 == 0 },\n"} {
		if !strings.Contains(code.String(), want) {
			t.Errorf("no %s in\n%s", want, &code)
		}
	}
	for _, needs := range []string{"//takes rows<=8", "//needs cooperative_matrix2 f16\n//takes aligned"} {
		const want = "//lean is for a kernel's own shader or what needs cooperative_matrix"
		if _, err := parseBoth(t, strings.Replace(header, "//needs cooperative_matrix f16 bf16", needs, 1)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", needs, err, want)
		}
	}
}

// What runs in narrow subgroups needs matrices of subgroups.
func TestNarrow(t *testing.T) {
	with := func(line string) string {
		return strings.NewReplacer("_matrix f16 bf16", "_matrix f16", "//tile group=256 bm=64\n", "//tile group=256 bm=64\n//narrow "+line+"\n").
			Replace(other)
	}
	o, err := parseBoth(t, with("rows<=64 rows%8\n//narrow rows%16 group=256 bm=32"))
	if err != nil {
		t.Fatal(err)
	}
	base, err := parseKernel("thing_grad.comp", good, enums)
	if err != nil {
		t.Fatal(err)
	}
	o.compiled = true
	var code bytes.Buffer
	if emitAlternatives(&code, base, []*kernel{o}); !strings.Contains(code.String(), `Narrow: []shaders.Narrow{
{
Takes: func(k shaders.Kernel) bool { c, ok := k.(ThingGrad); return ok && c.Rows <= 64 && c.Rows%8 == 0 },
},
{
Takes: func(k shaders.Kernel) bool { c, ok := k.(ThingGrad); return ok && c.Rows%16 == 0 },
Tiles: []shaders.Tile{{256, 32}},
},
},
`) {
		t.Errorf("it says\n%s", &code)
	}
	own := strings.Replace(good, "// ThingGrad", "// Other", 1)
	for header, want := range map[string]string{
		strings.Replace(own, "//tile", "//narrow rows<=8\n//tile", 1): "//narrow is for an alternative",
		with("acc"):                          `//narrow: "acc": want size<=number`,
		with(""):                             "//narrow: want conditions",
		with("group=256 bm=32"):              "//narrow: want conditions",
		with("rows<=8\n//narrow acc"):        `//narrow: "acc": want size<=number`,
		with("rows<=8 group=256"):            "//narrow: want the names of the first //tile line",
		with("columns<=8"):                   "//narrow: columns is not a uint of this header",
		with("rows<=8\n//narrow columns<=8"): "//narrow: columns is not a uint of this header",
		strings.Replace(with("rows<=8"), "//needs cooperative_matrix f16", "//takes rows<=8", 1): "//narrow is for what needs cooperative_matrix",
	} {
		o, err := parseKernel("other.comp", header, enums)
		if err == nil {
			err = checkAlternatives([]*kernel{base, o})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestTakesErrors(t *testing.T) {
	for takes, want := range map[string]string{
		"": "want one such line of conditions", "rows<8": `"rows<8": want size<=number, size>=number, size%number, name, !name, aligned or thin`,
		"rows<=x": `"rows<=x": want`,
		"rows%0":  `"rows%0": want`, "acc%2": "acc is not a uint of this header",
		"!rows<=8": `"!rows<=8": want`, "acc acc=1": `"acc=1": want`,
		"columns<=8": "columns is not a uint of this header",
		"acc<=1":     "acc is not a uint of this header", "rows": "rows is not a bool of this header",
		"!func":            "func is not a bool of this header",
		"acc\n//takes acc": "want one such line",
	} {
		_, err := parseKernel("other.comp",
			strings.Replace(other, "//needs cooperative_matrix f16 bf16", "//takes "+takes, 1), enums)
		if err == nil || !strings.Contains(err.Error(), "//takes: "+want) {
			t.Errorf("%q: %v, want %q", takes, err, want)
		}
	}
}

func TestAlternativeErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"//for thing_grad\n", "", "want //for and with it //needs, //takes or both"},
		{"//needs cooperative_matrix f16 bf16\n", "", "want //for and with it //needs, //takes or both"},
		{"//for thing_grad\n//needs cooperative_matrix f16 bf16", "//takes acc", "want //for and with it"},
		{"//for thing_grad", "//for thing", "there is no such kernel"},
		{"void main() {}", "", "an alternative has a body"},
		{"bm=", "bn=", "its contract is not that of thing_grad"},
		{"bits seed", "uint seed", "its contract"},
		{"OPT_IN(3", "IN(3", "its contract"},
		{" may be x", "", "its contract"},
		{"//grid rows*rows", "//grid rows", "its contract"},
	} {
		if _, err := parseBoth(t, strings.ReplaceAll(other, c.old, c.new)); err == nil ||
			!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "other.comp:1: ") {
			t.Errorf("%q for %q: %v, want %q", c.new, c.old, err, c.want)
		}
	}
}

func TestBFloat16(t *testing.T) {
	f16, err := os.ReadFile("../../internal/kernels/spv/matmul_coopmat_f16.spv")
	if err != nil {
		t.Fatal(err)
	}
	got, err := withBFloat16(f16)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../internal/kernels/spv/matmul_coopmat_bf16.spv")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v; the same bytes: %v", err, bytes.Equal(got, want))
	}
	plain, err := os.ReadFile("../../internal/kernels/spv/add.spv")
	if err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string][]byte{
		"not SPIR-V": []byte("not SPIR-V, but long enough to be"), "are left": f16[:24], "capability Float16": plain,
	} {
		if _, err := withBFloat16(code); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}
