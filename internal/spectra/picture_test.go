package spectra

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"strings"
	"testing"

	"github.com/agora-ml/agora/spectrum"
)

func runs() []Run {
	updates := func(singular ...float64) (all []spectrum.Update) {
		for _, layer := range []string{"a.k_proj", "b.k_proj", "a.v_proj"} {
			all = append(all, spectrum.Update{Layer: layer, Rows: 8, Columns: 8, Singular: singular})
		}
		return all
	}
	return []Run{{"low", updates(2, 1)}, {"full", updates(1, 0.9, 0.5, 0.1, 1e-12, 0)}, {"nothing", updates(0, 0)}}
}

// All that is to be read stands in the picture, and once for each kind or run.
func TestDraw(t *testing.T) {
	alike := []Likeness{{"low", "full", "k_proj", [][]float64{{0.5, 1}, {0.25, 0.75}}}}
	var svg bytes.Buffer
	if err := Draw(&svg, runs(), []string{"k_proj", "v_proj"}, alike, "svg"); err != nil {
		t.Fatal(err)
	}
	var texts []string
	d := xml.NewDecoder(&svg)
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := token.(xml.CharData); ok {
			texts = append(texts, strings.TrimSpace(string(c)))
		}
	}
	all := "\n" + strings.Join(texts, "\n") + "\n"
	for _, want := range []string{
		"low", "full", "nothing", "k_proj: singular values", "v_proj: singular values",
		"k_proj: relative to the largest",
		"v_proj: share of |ΔW|² in the largest", "k_proj: φ(i, j) of low", "j, directions of full",
	} {
		if strings.Count(all, "\n"+want+"\n") != 1 {
			t.Errorf("%q stands %d times in the picture, want once", want, strings.Count(all, "\n"+want+"\n"))
		}
	}
	var raster bytes.Buffer
	if err := Draw(&raster, runs(), []string{"k_proj"}, nil, "png"); err != nil {
		t.Fatal(err)
	}
	if im, err := png.Decode(&raster); err != nil || im.Bounds().Dx() != 1800 || im.Bounds().Dy() > 600 {
		t.Errorf("one row is %v, %v", im.Bounds(), err)
	}
	if err := Draw(io.Discard, runs(), []string{"k_proj"}, nil, "gif"); err == nil {
		t.Error("gif: want an error")
	}
}
