package curves

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/picture"
	"github.com/agora-ml/agora/internal/termplot"
)

const (
	runA = `{"step":0,"held_out_loss":4,"seconds":1}
{"step":1,"loss":4.5,"lr":0.001,"grad_norm":2,"tokens_per_s":900,"seconds":2}
{"step":2,"loss":3.5,"lr":0.002,"grad_norm":1,"tokens_per_s":1100,"seconds":3}
{"step":2,"held_out_loss":3,"seconds":4}
{"step":3,"loss":2.5,"grad_norm":1.5,"tokens_per_s":1000,"seconds":5}
{"step":3,"held_out_loss":3.25,"seconds":6}
`
	runB = `{"step":1,"loss":5,"lr":0.001,"grad_norm":3,"tokens_per_s":500,"seconds":2}
{"step":2,"loss":4,"lr":0.001,"grad_norm":300,"tokens_per_s":500,"seconds":3}
`
)

// folder is a run's folder with these metrics.
func folder(t *testing.T, name, metrics string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(metrics), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, paths ...string) []Run {
	t.Helper()
	runs, err := Read(paths)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func TestSummary(t *testing.T) {
	dir := folder(t, "a", runA+`{"step":4,"lo`) // a crash cut the last line
	got, err := json.Marshal(read(t, filepath.Join(dir, "metrics.jsonl"))[0].Summary().Curves)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"grad_norm":{"points":3,"first":{"step":1,"value":2},"last":{"step":3,"value":1.5},"min":{"step":2,"value":1},"max":{"step":1,"value":2}},` +
		`"held_out_loss":{"points":3,"first":{"step":0,"value":4},"last":{"step":3,"value":3.25},"min":{"step":2,"value":3},"max":{"step":0,"value":4}},` +
		`"loss":{"points":3,"first":{"step":1,"value":4.5},"last":{"step":3,"value":2.5},"min":{"step":3,"value":2.5},"max":{"step":1,"value":4.5}},` +
		`"lr":{"points":3,"first":{"step":1,"value":0.001},"last":{"step":3,"value":0},"min":{"step":3,"value":0},"max":{"step":2,"value":0.002}},` +
		`"tokens_per_s":{"points":3,"first":{"step":1,"value":900},"last":{"step":3,"value":1000},"min":{"step":1,"value":900},"max":{"step":2,"value":1100}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Preference training has curves of its own, and its loss is of a row.
func TestPreferenceCurves(t *testing.T) {
	const metrics = `{"step":0,"held_out_loss":0.7,"preference":{"answers":8,"accuracy":0.5,"margin":0}}
{"step":1,"loss":0.6,"preference":{"answers":4,"accuracy":0.75,"margin":null}}
{"step":2,"loss":0.5,"preference":{"answers":4,"accuracy":1,"margin":2}}
{"step":2,"held_out_loss":0.4,"preference":{"answers":8,"accuracy":0.875,"margin":1}}
`
	runs := read(t, folder(t, "a", metrics))
	for name, want := range map[string]Curve{
		Accuracy:             {[]float64{1, 2}, []float64{0.75, 1}},
		ofHeldOut + Accuracy: {[]float64{0, 2}, []float64{0.5, 0.875}},
		Margin:               {[]float64{2}, []float64{2}},
		ofHeldOut + Margin:   {[]float64{0, 2}, []float64{0, 1}},
		KL:                   {},
	} {
		if got := runs[0].Curve(name); !slices.Equal(got.Steps, want.Steps) || !slices.Equal(got.Values, want.Values) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	var svg bytes.Buffer
	if err := Draw(&svg, runs, "svg"); err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"Loss (of a row)", "Preference accuracy", "Reward margin"} {
		if !strings.Contains(svg.String(), title) {
			t.Errorf("no panel %q", title)
		}
	}
	if strings.Contains(svg.String(), "Divergence") || strings.Contains(svg.String(), natsAToken) {
		t.Error("a panel of what there is not, or a loss in nats a token")
	}
}

func TestNames(t *testing.T) {
	a, b := folder(t, "same", runA), folder(t, "same", runB)
	c := folder(t, "other", runA)
	runs := read(t, a, b, filepath.Join(c, "metrics.jsonl"))
	for i, want := range []string{a, b, "other"} {
		if runs[i].Name != want {
			t.Errorf("run %d is called %q, want %q", i, runs[i].Name, want)
		}
	}
}

func TestReadNamesFileLineAndField(t *testing.T) {
	for _, c := range []struct{ name, metrics, want string }{
		{"a word for a number", runA + `{"step":4,"loss":"low","seconds":1}` + "\n", "metrics.jsonl: line 7: "},
		{"a word for a number", runA + `{"step":4,"loss":"low","seconds":1}` + "\n", "loss"},
		{"no JSON", "{]\n", "metrics.jsonl: line 1: "},
		{"nothing", "", "want at least one record of a loss, got none"},
		{"no loss", `{"step":1,"seconds":2}` + "\n", "want at least one record of a loss, got none"},
	} {
		dir := folder(t, "run", c.metrics)
		if _, err := Read([]string{dir}); err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, want the folder and %q", c.name, err, c.want)
		}
	}
	if _, err := Read([]string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), "metrics.jsonl") {
		t.Errorf("a folder without metrics: got %v", err)
	}
}

func TestSmooth(t *testing.T) {
	var straight, noisy, one Curve
	for i := range 200 {
		x := float64(i * 3)
		straight.Steps, straight.Values = append(straight.Steps, x), append(straight.Values, 7-x/10)
		noisy.Steps, noisy.Values = append(noisy.Steps, x), append(noisy.Values, 7-x/10+float64(i%2*2-1))
	}
	one = Curve{Steps: []float64{5, 5}, Values: []float64{1, 3}}
	if got := straight.Smooth(); farthest(got, straight) > 1e-9 {
		t.Errorf("a straight line moves by %g", farthest(got, straight))
	}
	got := noisy.Smooth()
	inside := func(c Curve) Curve { return Curve{c.Steps[10:190], c.Values[10:190]} }
	if ends, middle := farthest(got, straight), farthest(inside(got), inside(straight)); ends > 0.3 || middle > 0.03 {
		t.Errorf("noise of 1 becomes %g, %g apart from the ends; want at most 0.3 and 0.03", ends, middle)
	}
	cliff := Curve{Steps: []float64{1, 2, 3, 4, 5, 6}, Values: []float64{0.1, 8, 8, 8, 8, 8}}
	for i, v := range cliff.Smooth().Values {
		if v < 0.1 || v > 8 {
			t.Errorf("a cliff: value %d is %g, beyond all that were measured", i, v)
		}
	}
	if got := one.Smooth(); math.Abs(got.Values[0]-5./3) > 1e-12 ||
		math.Abs(got.Values[1]-7./3) > 1e-12 { // weights 1 and 1/2
		t.Errorf("two values of one step: got %v", got.Values)
	}
	if got := (Curve{}).Smooth(); got.Len() != 0 {
		t.Errorf("nothing: got %v", got)
	}
}

func farthest(a, b Curve) float64 {
	most := 0.
	for i := range a.Values {
		most = max(most, math.Abs(a.Values[i]-b.Values[i]))
	}
	return most
}

func TestPNG(t *testing.T) {
	both, one := decode(t, read(t, folder(t, "a", runA), folder(t, "b", runB))),
		decode(t, read(t, folder(t, "a", runA)))
	for i, c := range picture.Palette[:3] {
		if n := count(both, c); (n > 100) != (i < 2) {
			t.Errorf("two runs: %d points in color %d", n, i)
		}
		if n := count(one, c); (n > 100) != (i < 1) {
			t.Errorf("one run: %d points in color %d", n, i)
		}
	}
	if got, want := both.Bounds().Size(), image.Pt(12*picture.DPI, 930); got != want {
		t.Errorf("size %v, want %v", got, want)
	}
}

func decode(t *testing.T, runs []Run) image.Image {
	t.Helper()
	var b bytes.Buffer
	if err := Draw(&b, runs, "png"); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func count(img image.Image, want color.NRGBA) (n int) {
	wantR, wantG, wantB, _ := want.RGBA()
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if r, g, b, _ := img.At(x, y).RGBA(); r == wantR && g == wantG && b == wantB {
				n++
			}
		}
	}
	return n
}

func TestSVGHasPanelsOfWhatThereIs(t *testing.T) {
	titles := []string{"Loss (nats a token)", "Held-out loss (nats a token)", "Learning rate",
		"Gradient norm (before clipping)", "Speed (tokens/s)"}
	a, b := folder(t, "run-a", runA), folder(t, "run-b", runB)
	for _, c := range []struct {
		paths []string
		want  []string
		not   []string
	}{
		{[]string{a, b}, append(titles, "run-a", "run-b", "smoothed", "held-out loss", "1", "2", "50", "100"), nil},
		{[]string{b}, []string{titles[0], titles[2], "run-b", "smoothed"},
			[]string{titles[1], "held-out loss", "run-a"}},
		{[]string{folder(t, strings.Repeat("x", 50)+"end", runA)}, []string{"…" + strings.Repeat("x", 36) + "end"},
			nil},
	} {
		texts := svgTexts(t, read(t, c.paths...))
		for _, want := range c.want {
			if !texts[want] {
				t.Errorf("%v: no %q in %v", c.paths, want, texts)
			}
		}
		for _, not := range c.not {
			if texts[not] {
				t.Errorf("%v: %q is there", c.paths, not)
			}
		}
	}
}

// svgTexts are the words of a picture.
func svgTexts(t *testing.T, runs []Run) map[string]bool {
	t.Helper()
	var b bytes.Buffer
	if err := Draw(&b, runs, "svg"); err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			texts[strings.TrimSpace(string(text))] = true
		}
	}
}

func TestFormats(t *testing.T) {
	var b bytes.Buffer
	runs := read(t, folder(t, "one", `{"step":1,"loss":0,"seconds":1}`+"\n")) // one point, all zero
	if err := Draw(&b, runs, "pdf"); err != nil || !bytes.HasPrefix(b.Bytes(), []byte("%PDF-")) {
		t.Errorf("pdf: %.20q, %v", b.Bytes(), err)
	}
	if err := Draw(io.Discard, runs, "gif"); err == nil || !strings.Contains(err.Error(), `"gif"`) {
		t.Errorf("gif: got %v", err)
	}
	for name, want := range map[string]string{"a.png": "png", "b.c/x.SVG": "svg", "x.pdf": "pdf", "x": "",
		"x.jpg": "", "png": ""} {
		if got, err := picture.Format(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestTerminal(t *testing.T) {
	a, b := folder(t, "a", runA), folder(t, "b", runB)
	o := termplot.Options{Width: 13, Height: 5}
	for _, c := range []struct {
		name string
		runs []Run
		want string
	}{
		{"one", read(t, a), `
loss, nats a token
  │    ⠑⢄
4 ┤●     ⠱⡀
  │       ⠈⠢⡀
3 ┤        ●⠈⢢ ●
  │           ⠑⢄
  └┬───────┬────
   0       2
       step
⠤⠤ training, smoothed    ● held-out

run  steps  training loss    held-out loss    lowest held-out
a    3      4.5000 → 2.5000  4.0000 → 3.2500  3.0000 at step 2
`},
		{"several", read(t, a, b), `
training loss, smoothed, nats a token
5 ┤×
  │•
4 ┤      ×
3 ┤
  │            •
  └┬─────┬─────┬
   1     2     3
       step
• a    × b

held-out loss, nats a token
  4 ┤•
    │
3.5 ┤
    │            •
  3 ┤        •
    └┬───────┬────
     0       2
         step
• a

run  steps  training loss    held-out loss    lowest held-out
a    3      4.5000 → 2.5000  4.0000 → 3.2500  3.0000 at step 2
b    2      5.0000 → 4.0000  -                -
`},
	} {
		var got strings.Builder
		if err := Terminal(&got, c.runs, o); err != nil {
			t.Fatal(err)
		}
		if "\n"+got.String() != c.want {
			t.Errorf("%s: got\n%s\nwant%s", c.name, got.String(), c.want)
		}
	}
}
