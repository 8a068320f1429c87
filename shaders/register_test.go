package shaders

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRegister(t *testing.T) {
	own := Desc{Name: "test.own", Sig: "T=TI?", Bindings: []string{"y", "x", "ids"}, Tiles: []Tile{{64}},
		TileNames: []string{"group"}}
	Register(own)
	got, ok := Find("test.own")
	if !ok || len(got.Args) != 3 || !got.Args[2].Optional || got.SPIRV != nil {
		t.Errorf("found %+v, %v", got, ok)
	}
	if !slices.ContainsFunc(All(), func(d Desc) bool { return d.Name == "test.own" }) {
		t.Error("All has it not")
	}
	for _, c := range []struct {
		change func(d *Desc)
		want   string
	}{
		{func(d *Desc) {}, "there is a kernel test.own already"},
		{func(d *Desc) { d.Name, d.Sig = "test.x", "T" }, `signature "T"`},
		{func(d *Desc) { d.Name, d.Bindings = "test.x", d.Bindings[:2] }, "want as many names as bindings"},
		{func(d *Desc) { d.Name, d.Tiles = "test.x", nil }, "0 tiles"},
	} {
		d := own
		c.change(&d)
		func() {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, c.want) {
					t.Errorf("panicked with %s, want %s", r, c.want)
				}
			}()
			Register(d)
		}()
	}
}
