package main

import (
	"compress/gzip"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/testdevice"
)

func TestLearnsToReadDrawnDigits(t *testing.T) {
	d := testdevice.Open(t, 2)
	r := rand.New(rand.NewPCG(1, 2))
	train, test := draw(r, 2000), draw(r, 500)
	m := newNetwork(d, 28, 28)
	if err := fit(d, m, train, r, 120); err != nil {
		t.Fatal(err)
	}
	right, err := m.accuracy(d, test)
	if err != nil || !(right > 0.95) {
		t.Errorf("%.1f %% of unseen digits are read right, want more than 95 %%, error %v", 100*right, err)
	}
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if !strings.HasSuffix(name, ".gz") {
		_, err = file.Write(data)
	} else if z := gzip.NewWriter(file); err == nil {
		if _, err = z.Write(data); err == nil {
			err = z.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestIDX(t *testing.T) {
	pixels := make([]byte, 2*4*5)
	pixels[7], pixels[39] = 255, 51
	images := append([]byte{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 5}, pixels...)
	labels := []byte{0, 0, 8, 1, 0, 0, 0, 2, 9, 3}
	s, err := readIDX(write(t, "images.gz", images), write(t, "labels", labels))
	if err != nil {
		t.Fatal(err)
	}
	if s.height != 4 || s.width != 5 || !slices.Equal(s.labels, []int32{9, 3}) || len(s.pixels) != 40 ||
		s.pixels[7] != 1 || s.pixels[39] != 0.2 {
		t.Errorf("read %+v", s)
	}
	for _, c := range []struct {
		images, labels []byte
		want           string
	}{
		{labels, labels, "no IDX file of the kind 0x803: it begins with 0x00000801"},
		{nil, labels, "no IDX file"},
		{images[:30], labels, "14 bytes for dimensions [2 4 5]: want 40"},
		{images, labels[:9], "1 bytes for dimensions [2]"},
		{images, []byte{0, 0, 8, 1, 0, 0, 0, 1, 9}, "1 labels for the 2 images"},
		{images, []byte{0, 0, 8, 1, 0, 0, 0, 2, 9, 10}, "label 1 is 10: want 0 to 9"},
		{[]byte{0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 5}, labels, "too many elements"},
		{[]byte{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 7}, labels, "want at least 4 x 4"},
	} {
		if _, err := readIDX(write(t, "images", c.images), write(t, "labels", c.labels)); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	if _, err := readIDX(write(t, "images.gz", images)[1:], ""); err == nil {
		t.Error("a file that is not there was read")
	}
}
