package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const header = `// ThingGrad is a thing.
//
//	y = x
//
//grid rows*dim/group 3
//tile group=64 bm=32

#include "include/kernel.glsl"

PUSH(
	uint rows;  // rows
	bits seed;
	float out_; // a number
)
CONST(0, bool, acc)  // add
CONST(1, Func, func) // function
OUT(0, T, y)         // [rows, 2*rows] may be x: result
OPT_INOUT(1, S, s)   // [rows/seed_size], or not
IN(2, T, x)          // [*]: input
OPT_IN(3, I, ids)    // [1]
`

const body = "\nvoid main() {}\n"

var enums = map[string]*enum{"Func": {name: "Func", values: make([]field, 2)}}

// good is the header above with what it leaves undeclared.
var good = strings.NewReplacer("rows*dim", "rows*rows", "seed_size", "rows").Replace(header)

func TestParse(t *testing.T) {
	k, err := parseKernel("thing_grad.comp", good, enums)
	if err != nil {
		t.Fatal(err)
	}
	if k.goName != "ThingGrad" || k.sig() != "TS?+=TI?" || k.body {
		t.Errorf("name %s, signature %s, body %v", k.goName, k.sig(), k.body)
	}
	if got := k.value(k.grid[0]); got != "kernelcode.CeilDiv(kernelcode.Mul(k.Rows, k.Rows), int(t[0]))" {
		t.Errorf("grid: %s", got)
	}
	if k.push[2].goName != "Out" || k.consts[1].values != 2 || k.bindings[2].shape != nil ||
		k.bindings[0].mayBe != "x" {
		t.Errorf("%+v", k)
	}
	if k, err = parseKernel("thing_grad.comp", good+"\n// a comment"+body, enums); err != nil || !k.body {
		t.Errorf("with a body: %v, %v", k.body, err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"// ThingGrad is", "// Thing is", `:1: the doc comment must begin with "// ThingGrad "`},
		{"//grid rows*rows/group 3\n", "", ":6: no //grid line"},
		{"//tile group=64 bm=32\n", "", ":6: no //tile line"},
		{"//tile", "//title", ":6: //title: want //go, //grid, //tile, //software, //wide, //lean, //for, //needs, //takes, //narrow or //values"},
		{"group=64 bm=32", "bm=32 group=64", ":6: //tile: the first size is \"bm\""},
		{"bm=32", "bm=0", ":6: //tile: \"bm=0\""},
		{"bm=32", "a=1 b=1 c=1 d=1", ":6: //tile: want one to 4 sizes"},
		{"bm=32", "bm=32\n//tile group=64 bn=32", ":7: //tile: want the names of the first //tile line"},
		{"bm=32", "bm=32\n//software group=64 bm=0", ":7: //software: \"bm=0\""},
		{"bm=32", "bm=32\n//wide group=512", ":7: //wide: want the names of the first //tile line"},
		{"//tile group", "//software group=8 bm=8\n//tile group", ":6: //software: want the names of the first //tile line"},
		{"bm=32", "bm=32\n//values rows", ":7: //values: want a size, and what it may be"},
		{"bm=32", "bm=32\n//values rows 0 2*cols", "//values: cols is not a uint of this header"},
		{"bm=32", "bm=32\n//values seed 0", "//values: seed is not a uint of this header"},
		{"bm=32", "bm=32\n//lean group=64 bm=32", `:7: //lean: want conditions, and sizes behind them`},
		{"bm=32", "bm=32\n//lean rows>=2", ":7: //lean: want sizes behind its conditions"},
		{"bm=32", "bm=32\n//lean rows>=2 group=64 bm=32\n//lean rows>=3 group=64 bm=32", ":8: //lean: want one such line"},
		{"bm=32", "bm=32\n//lean cols>=2 group=64 bm=32", "//lean: cols is not a uint of this header"},
		{"bm=32", "bm=32\n//for", ":7: //for: want one kernel"},
		{"bm=32", "bm=32\n//needs luck f16", ":7: //needs: want one such line: cooperative_matrix or cooperative_matrix2, and types"},
		{"bm=32", "bm=32\n//needs cooperative_matrix f16 f32", `:7: //needs cooperative_matrix: type "f32"`},
		{"bm=32", "bm=32\n//needs cooperative_matrix f16 f16", `:7: //needs cooperative_matrix: type "f16"`},
		{"/group 3", "/group 3 3 3", ":5: //grid: want one such line of one to three terms"},
		{"rows*rows/group", "rows+1", ":5: \"rows+1\": want names or numbers"},
		{"rows*rows/group", "rows/", ":5: \"rows/\": want one name or number after /"},
		{"rows*rows/group", "cols/group", "//grid: cols is not a uint of this header"},
		{"rows*rows/group", "seed/group", "//grid: seed is not a uint of this header"},
		{"rows*rows/group", "rows/bn", "//grid: bn is not a size of this header"},
		{`#include "include/kernel.glsl"`, `#include "include/reduce.glsl"`, ":8: #include"},
		{`#include "include/kernel.glsl"`, ``, ":10: want #include"},
		{"PUSH(", "PUSH (", ":10: \"PUSH (\": want PUSH("},
		{")\nCONST", "CONST", ":14: \"CONST(0, bool, acc)  // add\": want a tab"},
		{"bits seed;", "bits seed", ":12: \"\\tbits seed\": want a tab, then: type name; // meaning"},
		{"bits seed;", "int seed;", ":12: int seed: want uint, bits or float"},
		{"bits seed;", "bits rows;", ":12: rows: declared twice"},
		{"bits seed;", "bits push;", ":12: push: the struct has a method of that name"},
		{"bm=32", "rows=32", "//tile: rows is declared twice"},
		{"bits seed;", "bits Seed;", ":12: \"Seed\": want a lower_case name"},
		{"CONST(1, Func", "CONST(2, Func", ":16: CONST(2, …): want number 1"},
		{"CONST(1, Func", "CONST(1, Mode", ":16: CONST of type Mode"},
		{"CONST(1, Func", "CONST(1,Func", ":16: \"CONST(1,Func"},
		{"OUT(0, T, y)", "OUT(0, X, y)", ":17: binding y has letter X"},
		{"OUT(0, T, y)", "OUT(1, T, y)", ":17: binding y has number 1: want 0"},
		{"OUT(0, T, y)", "OUT(0, T)", ":17: \"OUT(0, T)"},
		{"OUT(0, T, y)", "IN(0, T, y)", ":17: binding y: only an OUT may be an input"},
		{"OUT(0, T, y)         // [rows, 2*rows] may be x: result", "IN(0, T, y) // [1]",
			":18: binding s is written: it must stand before the ones only read"},
		{"may be x", "may be z", "y may be z: that is not an input of letter T"},
		{"may be x", "may be ids", "y may be ids: that is not an input of letter T"},
		{"may be x", "can be x", ":17: binding y: after its [shape]"},
		{"// [rows, 2*rows]", "// rows", ":17: binding y: want a comment that begins with its [shape]"},
		{"[rows, 2*rows]", "[rows, cols]", "shape of y: cols is not a uint of this header"},
		{"[rows, 2*rows]", "[rows, rows/2]", ":17: binding y: a quotient must be its only dimension"},
		{"IN(2, T, x)", "IN(2, T, y)", ":19: y: declared twice"},
		{"IN(2, T, x)", "IN(2, T, rows)", ":19: rows: declared twice"},
		{"IN(2, T, x)", "int i;\nIN(2, T, x)",
			":20: \"IN(2, T, x)          // [*]: input\": PUSH, CONST and bindings stand in that order"},
		{"bits seed;", "uint a;\n\tbits b;" + manyFields(22),
			"4 addresses and 26 parameters take 136 bytes of push constants: at most 128"},
		{"ids)    // [1]\n", "ids)    // [1]\n" + moreBindings(4, 13), "13 bindings: want at most 12"},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("the good header has no %q", c.old)
		}
		_, err := parseKernel("thing_grad.comp", strings.Replace(good, c.old, c.new, 1)+body, enums)
		var e *headerError
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "thing_grad.comp:") ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q:\n got %v\nwant %s", c.new, c.old, err, c.want)
		}
	}
	if _, err := parseKernel("Thing.comp", good, enums); err == nil {
		t.Error("a file name with a capital was accepted")
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("\n\tuint f" + string(rune('a'+i)) + ";")
	}
	return b.String()
}

// A kernel that no GPU runs need not keep to what a launch may have.
func TestParseManyBindingsWithoutABody(t *testing.T) {
	if k, err := parseKernel("thing_grad.comp", good+moreBindings(4, 13), enums); err != nil || len(k.bindings) != 13 {
		t.Errorf("%v, %v", k, err)
	}
}

func moreBindings(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "IN(%d, T, b%d) // [1]\n", i, i)
	}
	return b.String()
}

func TestParseEnums(t *testing.T) {
	list, err := parseEnums("f.glsl",
		"//enum Mode is a mode.\n#define Mode uint\nconst uint ModeA = 0; // a\nconst uint ModeB = 1; // b\n\nconst uint other = 7; // c\n")
	if err != nil || len(list) != 1 || list[0].doc != "Mode is a mode." || len(list[0].values) != 2 ||
		list[0].values[1].doc != "b" {
		t.Errorf("%+v, %v", list, err)
	}
	for src, want := range map[string]string{
		"//enum mode is\n": "f.glsl:1:",
		"//enum Mode is\nconst uint ModeA = 1; // a\n":                             "f.glsl:2: ModeA = 1: want Mode… = 0",
		"//enum Mode is\nconst uint ModeA = 0; // a\nconst uint Other = 1; // a\n": "f.glsl:3: Other = 1: want Mode… = 1",
	} {
		if _, err := parseEnums("f.glsl", src); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", src, err, want)
		}
	}
}

func TestCamel(t *testing.T) {
	for name, want := range map[string]string{
		"rms_norm_grad": "RMSNormGrad", "swiglu": "SwiGLU", "adamw": "AdamW", "sgd": "SGD", "rope": "RoPE",
		"kv_heads": "KVHeads", "lr": "LR", "out_": "Out", "d0": "D0", "attention_grad_q": "AttentionGradQ",
	} {
		if got := camel(name); got != want {
			t.Errorf("camel(%q) = %s, want %s", name, got, want)
		}
	}
}

// FuzzParse wants an error that names the line, or code that gofmt accepts.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../*.comp")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add(good)
	f.Add("// ThingGrad is unfinished")
	f.Fuzz(func(t *testing.T, src string) {
		k, err := parseKernel("thing_grad.comp", src, enums)
		var e *headerError
		if err != nil && (!errors.As(err, &e) || e.line < 1 || e.line > strings.Count(src, "\n")+1) {
			t.Fatalf("error without a line of the file: %v", err)
		}
		if err != nil {
			return
		}
		code, err := emit("kernels", []*kernel{k}, nil)
		if err != nil {
			t.Fatalf("a header was accepted whose code is wrong: %v", err)
		}
		if !slices.Contains(strings.Split(string(code), "\n"), "type "+k.goName+" struct {") {
			t.Fatalf("no struct %s in:\n%s", k.goName, code)
		}
	})
}
