// Package version says which Agora this is.
package version

import (
	"runtime/debug"
	"strings"
)

// Number is the release; between releases the one to come with "-dev".
const Number = "0.1.0-dev"

const module = "github.com/agora-ml/agora"

// Build is where a binary comes from. What Go did not record is empty.
type Build struct {
	Version  string `json:"version"`  // of the module where it was installed by version, else Number
	Revision string `json:"revision"` // the commit
	Time     string `json:"time"`     // of the commit, RFC 3339
	Modified bool   `json:"modified"` // the working tree differed from the commit
}

// Read gives what Go recorded in this binary.
func Read() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: Number}
	}
	return read(info)
}

func read(info *debug.BuildInfo) Build {
	b := Build{Version: Number}
	for _, m := range append(info.Deps, &info.Main) {
		// A working tree has "(devel)", or a pseudo-version, which says less than Number and
		// the revision do.
		if m.Path == module && strings.HasPrefix(m.Version, "v") && strings.Count(m.Version, "-") < 2 &&
			!strings.Contains(m.Version, "+") {
			b.Version = strings.TrimPrefix(m.Version, "v")
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the version, with the first digits of the commit where Go recorded one.
func (b Build) String() string {
	s := b.Version
	if len(b.Revision) >= 12 {
		s += "+" + b.Revision[:12]
		if b.Modified {
			s += ".modified"
		}
	}
	return s
}

// String is that of this binary.
func String() string { return Read().String() }
