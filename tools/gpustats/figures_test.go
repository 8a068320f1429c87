package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A loop of 16-bit products in a loop that loads one number and waits for it, as RADV writes it.
const amd = `24	VGPRs
0	Spilled VGPRs
8	Scratch size
1024	LDS size
16	Subgroups per SIMD
##### Assembly
BB0:
	s_mov_b32 s0, 0                                             ; be800080
BB1:
	global_load_b64 v[0:1], v2, s[4:5]                          ; dc560000
	s_waitcnt vmcnt(0)                                          ; bf890000
	v_add_nc_u32_e32 v2, v0, v1                                 ; 4a040300
	v_dual_fmac_f32 v0, v1, v2 :: v_dual_mul_f32 v3, v4, v5     ; c8000000
BB2:
	ds_load_b64 v[8:9], v2                                      ; d9d80000
	ds_load_b64 v[10:11], v2 offset:8                           ; d9d80008
	s_waitcnt lgkmcnt(0)                                        ; bf89fc07
	v_wmma_f32_16x16x16_f16 v[16:23], v[8:15], v[8:15], v[16:23]; cc404010
	s_delay_alu instid0(VALU_DEP_1)                             ; bf870001
	v_add_nc_u32_e32 v2, 16, v2                                 ; 4a040490
	s_cbranch_scc0 BB2                                          ; bfa1fff8
	s_branch BB1                                                ; bfa0fff0
`

// The same of NVK.
const nak = `112	Number of GPRs
64	SLM size
16	Max warps/SM
##### NAK assembly
block.u 0 L0 [] -> {
      ur0       = s2r sr[0x25]                                     // delay=1 wr:0
block 1 L1 [0] -> {
      r84..88   = ldsm.16.m8n8.x4 [r80+0x20]                       // delay=1 wr:5
      r20..24   = hmma.m16n8k16.f32 r96..100 r100..102 r20..24     // delay=2
      r3        = @!p0 ld.global.a64.b128 [r4..6]                  // delay=2
                  bra pT L1                                        // delay=1 wt=111111
block.u 2 L3 [1, 2] -> {
      r5        = mov 0x2                                          // delay=1
                  st.global.a64.b32 [r4..6] r5                     // delay=1
      p0        = isetp.lt.u32 r2 0x3                              // delay=13
@!p0              bra pT L3                                        // delay=1 wt=000001
`

func TestLoopsAreCounted(t *testing.T) {
	f, err := read("x", amd)
	if err != nil {
		t.Fatal(err)
	}
	if f.Registers != 24 || f.Spills != 8 || f.Shared != 1024 || f.Waves != 16 {
		t.Errorf("%+v", f)
	}
	got := loops(amd)
	if len(got) != 2 {
		t.Fatalf("%d loops, want 2: %+v", len(got), got)
	}
	outer, inner := got[0], got[1]
	if outer.Depth != 0 || outer.Instructions != 4 || outer.FMA != 1 || outer.Vector != 2 || outer.Full != 1 ||
		outer.Lone != 1 || outer.Loads["global_load_b64"] != 1 {
		t.Errorf("outer %+v", outer)
	}
	if inner.Depth != 1 || inner.Instructions != 5 || inner.Matrix != 1 || inner.Full != 0 || inner.Waits != 1 ||
		inner.Loads["ds_load_b64"] != 2 {
		t.Errorf("inner %+v", inner)
	}
	hot := figures{Loops: got}.hot()
	if hot.Instructions != 9 || hot.Matrix != 1 || hot.Full != 1 {
		t.Errorf("hot %+v", hot)
	}
	masked := loop{Instructions: 90, Matrix: 8}
	if hot := (figures{Loops: []loop{masked, {Instructions: 60, Matrix: 8}, masked}}).hot(); hot.Instructions != 60 {
		t.Errorf("hot of loops with as many matrix instructions: %+v", hot)
	}
	if slow := (figures{Loops: []loop{masked, {Instructions: 60, Matrix: 8}, masked}}).slow(); slow.Instructions != 90 {
		t.Errorf("slow of loops with as many matrix instructions: %+v", slow)
	}
	nv := loops(nak)
	if len(nv) != 2 || nv[1].Instructions != 4 || nv[0].Instructions != 4 || nv[0].Matrix != 1 || nv[0].Loads["ldsm.16.m8n8.x4"] != 1 ||
		nv[0].Loads["ld.global.a64.b128"] != 1 {
		t.Errorf("NVK %+v", nv)
	}
}

// base is a pipeline with a loop of 32 matrix instructions, and a longer one.
func base() figures {
	return figures{Name: "p", Registers: 100, Shared: 1024, Waves: 8, Code: 4000, Loops: []loop{
		{Instructions: 100, Matrix: 32, Vector: 20, Waits: 4, Full: 1, Lone: 1, Loads: map[string]int{"ds_load_b64": 16}},
		{Depth: 1, Instructions: 20, Loads: map[string]int{}},
		{Instructions: 150, Matrix: 32, Full: 1, Loads: map[string]int{}},
	}}
}

func TestFiguresAreReadBack(t *testing.T) {
	want := base()
	got, err := parseFigures("# Mesa 1.\n" + want.String() + want.String())
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if got[1].String() != want.String() {
		t.Errorf("got\n%swant\n%s", got[1], want)
	}
	if _, err := parseFigures("p registers=x\n"); err == nil {
		t.Error("no error")
	}
}

func TestWhatIsWorse(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*figures)
		want   int
	}{
		{"the same", func(*figures) {}, 0},
		{"a tenth more", func(f *figures) { f.Loops[0].Instructions = 110 }, 0},
		{"more than a tenth", func(f *figures) { f.Loops[0].Instructions = 111 }, 1},
		{"more than a tenth in the slow loop", func(f *figures) { f.Loops[2].Instructions = 166 }, 1},
		{"a slow loop more", func(f *figures) { f.Loops = append(f.Loops, loop{Instructions: 200, Matrix: 32}) }, 1},
		{"no slow loop", func(f *figures) { f.Loops = f.Loops[:2] }, 0},
		{"twice the products", func(f *figures) {
			f.Loops[0].Instructions, f.Loops[0].Matrix, f.Loops[2].Instructions, f.Loops[2].Matrix = 200, 64, 300, 64
		}, 0},
		{"no matrix instructions", func(f *figures) { f.Loops = []loop{{Instructions: 100, FMA: 32}} }, 2},
		{"a full wait", func(f *figures) { f.Loops[0].Full++ }, 1},
		{"a spill and fewer waves", func(f *figures) { f.Spills, f.Waves = 1, 4 }, 2},
		{"better", func(f *figures) { f.Waves, f.Loops[0].Instructions, f.Loops[0].Full = 16, 50, 0 }, 0},
	} {
		f := base()
		c.change(&f)
		if got := worse(base(), f); len(got) != c.want {
			t.Errorf("%s: %v, want %d", c.name, got, c.want)
		}
	}
}

// Where nothing is multiplied the longest loop is looked at.
func TestWhatIsWorseWithoutProducts(t *testing.T) {
	copied := func() figures {
		return figures{Name: "p", Loops: []loop{{Instructions: 30}, {Instructions: 50, Full: 1}, {Instructions: 40}}}
	}
	for _, c := range []struct {
		name   string
		change func(*figures)
		want   int
	}{
		{"the same", func(*figures) {}, 0},
		{"a tenth more", func(f *figures) { f.Loops[1].Instructions = 55 }, 0},
		{"more than a tenth", func(f *figures) { f.Loops[1].Instructions = 56 }, 1},
		{"another loop is longer", func(f *figures) { f.Loops[2].Instructions, f.Loops[2].Full = 60, 2 }, 2},
		{"a full wait", func(f *figures) { f.Loops[1].Full++ }, 1},
		{"more than a tenth of all loops", func(f *figures) { f.Loops[0].Instructions = 43 }, 1},
		{"a full wait in another loop", func(f *figures) { f.Loops[0].Full++ }, 1},
		{"multiplications", func(f *figures) { f.Loops[1].Instructions, f.Loops[1].FMA = 60, 8 }, 0},
	} {
		f := copied()
		c.change(&f)
		if got := worse(copied(), f); len(got) != c.want {
			t.Errorf("%s: %v, want %d", c.name, got, c.want)
		}
	}
}

// What is gone or new counts as well, and nothing does by another Mesa.
func TestCompare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "card.txt")
	other := base()
	other.Name = "q"
	if err := write(file, "card", "26.1", []figures{base(), other}); err != nil {
		t.Fatal(err)
	}
	spilled := base()
	spilled.Spills = 1
	for _, c := range []struct {
		mesa string
		list []figures
		all  bool
		want int
	}{
		{"26.1", []figures{base(), other}, true, 0},
		{"26.1", []figures{base()}, true, 1},
		{"26.1", []figures{base()}, false, 0},
		{"26.1", []figures{spilled, other, {Name: "new"}}, true, 2},
		{"26.2", []figures{spilled}, true, 0},
	} {
		got, err := compare(file, c.mesa, c.list, c.all)
		if err != nil || got != c.want {
			t.Errorf("Mesa %s, %d pipelines, all %t: %d, %v; want %d", c.mesa, len(c.list), c.all, got, err, c.want)
		}
	}
	for _, text := range []string{"", "# card"} { // cut off
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := compare(file, "26.1", []figures{base()}, true); err == nil || !strings.Contains(err.Error(), "names the version of Mesa") {
			t.Errorf("a golden file of %q: %v", text, err)
		}
	}
}

// The committed files are of one Mesa, and of every card.
func TestGoldenFiles(t *testing.T) {
	var heads []string
	for _, family := range strings.Split(families, ",") {
		text, err := os.ReadFile(filepath.Join("golden", family+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		list, err := parseFigures(string(text))
		if err != nil || len(list) < 40 {
			t.Errorf("%s: %d pipelines, %v", family, len(list), err)
		}
		_, by, _ := strings.Cut(string(text), " by ")
		by, _, _ = strings.Cut(by, "\n")
		heads = append(heads, by)
	}
	if len(slices.Compact(heads)) != 1 {
		t.Errorf("made by %q", heads)
	}
}

// What cannot be done is told at once.
func TestPossible(t *testing.T) {
	t.Chdir("../..")
	all := strings.Split(families, ",")
	for _, c := range []struct {
		families      []string
		match, others string
		update, show  bool
		want          string // of the error; "": none
	}{
		{all, "", "", false, false, ""},
		{all, "gemv", "", false, false, ""},
		{all, "", "", true, false, ""},
		{all, "gemv", "", true, false, "without -match"},
		{all, "", "", true, true, "no -print"},
		{all, "", "a file", false, false, "-list: want -print"},
		{all, "", "a file", false, true, ""},
		{[]string{"vega10"}, "", "", false, false, "vega10.txt"},
		{[]string{"vega10"}, "", "", false, true, ""},
	} {
		err := possible(c.families, c.match, c.others, c.update, c.show)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
