package version

import (
	"runtime/debug"
	"testing"
)

func TestRead(t *testing.T) {
	settings := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
		{Key: "vcs.time", Value: "2026-11-28T12:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	}
	for _, c := range []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"installed", debug.BuildInfo{Main: debug.Module{Path: module, Version: "v0.3.1"}}, "0.3.1"},
		{"a candidate", debug.BuildInfo{Main: debug.Module{Path: module, Version: "v0.3.1-rc.1"}}, "0.3.1-rc.1"},
		{"a dependency", debug.BuildInfo{Main: debug.Module{Path: "example.com/x", Version: "v9.0.0"},
			Deps: []*debug.Module{{Path: module, Version: "v0.3.1"}}}, "0.3.1"},
		{"a working tree", debug.BuildInfo{Main: debug.Module{Path: module, Version: "(devel)"}, Settings: settings},
			Number + "+0123456789ab.modified"},
		{"a commit", debug.BuildInfo{Main: debug.Module{Path: module, Version: "v0.0.0-20261128120000-0123456789ab"},
			Settings: settings[:2]}, Number + "+0123456789ab"},
		{"a changed commit", debug.BuildInfo{Main: debug.Module{Path: module,
			Version: "v0.3.2-0.20261128120000-0123456789ab+dirty"}, Settings: settings},
			Number + "+0123456789ab.modified"},
		{"nothing recorded", debug.BuildInfo{}, Number},
	} {
		if got := read(&c.info).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
