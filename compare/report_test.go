package compare

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// checkReport looks at what Save leaves: a page that needs nothing beside it, whose pictures are whole.
func checkReport(t *testing.T, r *Results) {
	t.Helper()
	dir := t.TempDir()
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) {
		t.Error("results.json is no JSON")
	}
	page, err := os.ReadFile(filepath.Join(dir, ReportFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, outside := range []string{"http:", "https:", "src=", "@import", "url(", "<script"} {
		if bytes.Contains(page, []byte(outside)) {
			t.Errorf("the page needs something beside it: %s", outside)
		}
	}
	for _, m := range r.Experiment.Methods {
		if n := bytes.Count(page, []byte(m.Name)); n < 8 {
			t.Errorf("%s is named %d times", m.Name, n)
		}
	}
	for _, f := range r.Findings {
		if !bytes.Contains(page, []byte(f)) {
			t.Errorf("the page does not say %s", f)
		}
	}
	if bytes.Contains(page, []byte("NaN")) || bytes.Contains(page, []byte("Inf")) {
		t.Error("the page has a number that is none")
	}
	pictures := regexp.MustCompile(`(?s)<svg class="chart".*?</svg>`).FindAll(page, -1)
	if want := 2 + 2 + 2*4 + 2 + 3 + 2 + 2; len(pictures) != want {
		t.Errorf("%d pictures, want %d", len(pictures), want)
	}
	for _, p := range pictures {
		checkSVG(t, string(p))
	}
}

func checkSVG(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	drawn := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == "class" && (strings.HasPrefix(a.Value, "line") ||
					strings.HasPrefix(a.Value, "dot")) {
					drawn++
				}
			}
		}
	}
	if drawn == 0 {
		t.Errorf("nothing is drawn: %s", svg)
	}
}

// A dot at a known value stands where its axis has it.
func TestChartPlaces(t *testing.T) {
	c := chart{
		title: `a < "b"`, width: marginLeft + 100 + marginRight, height: marginTop + 100 + marginBottom,
		x: axis{set: true, lo: 0, hi: 10}, y: axis{log: true, set: true, lo: 1, hi: 100},
		marks: []mark{{color: 3, x: []float64{5}, y: []float64{10}, dots: 2},
			{x: []float64{5}, y: []float64{0}, dots: 2}},
	}
	svg := c.svg()
	if !strings.Contains(svg, `<circle class="dot c3" cx="100.0" cy="72.0" r="2"/>`) {
		t.Errorf("no dot in the middle: %s", svg)
	}
	if strings.Count(svg, "<circle") != 1 {
		t.Errorf("0 has no place on a logarithmic axis: %s", svg)
	}
	if strings.Contains(svg, `a < "b"`) {
		t.Errorf("the title is not escaped: %s", svg)
	}
}

func TestReportSaysWhatMayMislead(t *testing.T) {
	e := tiny(t)
	r := &Results{
		Experiment: e,
		Bases:      []BaseResult{{Own: TaskScore{Task: "own", Exact: 0.9}}},
		Rates:      []Rate{{Method: "LoRA", Steps: 4, LR: 0.002, Edge: true}, {Method: "full", Steps: 4, LR: 0.001}},
		Table:      []Row{{Method: "full", Steps: 6, Diverged: 2}},
	}
	flags := strings.Join(r.notes(), "\n")
	for _, want := range []string{"After 4 steps the best rate is the first or the last that was tried: LoRA (0.002).", "full after 6 steps: 2 runs diverged", "90.0 % of its own tasks", "All seeds begin with the same model"} {
		if !strings.Contains(flags, want) {
			t.Errorf("no %q in %s", want, flags)
		}
	}
	if strings.Contains(flags, "full (") {
		t.Errorf("a rate inside its grid is flagged: %s", flags)
	}
	r.Bases = append(r.Bases, r.Bases[0])
	if flags := strings.Join(r.notes(), "\n"); !strings.Contains(flags, "3 seeds share 2 bases") {
		t.Errorf("shared bases are not flagged: %s", flags)
	}
	r.Bases = append(r.Bases, r.Bases[0])
	if flags := strings.Join(r.notes(), "\n"); strings.Contains(flags, "share") ||
		strings.Contains(flags, "same model") {
		t.Errorf("a base for each seed is flagged: %s", flags)
	}
	cosine := strings.Join(e.protocol(), "\n")
	e.Train.Schedule = "constant"
	constant := strings.Join(e.protocol(), "\n")
	if !strings.Contains(cosine, "is a run of its own, whose rate rises for 1 steps and then falls to 0 (cosine)") ||
		!strings.Contains(constant, "rises for 1 steps and then stays") {
		t.Errorf("schedules:\n%s\n%s", cosine, constant)
	}
}
