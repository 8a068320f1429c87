package main

import (
	"testing"

	"github.com/agora-ml/agora/train"
)

// Every setting of a run is a flag of the commands that make one.
func TestEverySettingHasAFlag(t *testing.T) {
	c := train.Defaults()
	for _, s := range c.Settings() {
		for _, name := range []string{"train", "plan"} {
			found, _, err := command().Find([]string{name})
			if err != nil {
				t.Fatal(err)
			}
			flag := found.Flags().Lookup(s.Name)
			if flag == nil || flag.Usage != s.Help() || flag.DefValue != s.String() {
				t.Errorf("agora %s: --%s is %+v", name, s.Name, flag)
			}
		}
	}
}
