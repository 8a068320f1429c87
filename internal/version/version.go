// Package version says which Agora this is.
package version

import "runtime/debug"

// Number is the release; between releases the one to come with "-dev".
const Number = "0.1.0-dev"

// String is the number, with the commit it was built from where Go recorded one.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Number
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return Number + "+" + s.Value[:12]
		}
	}
	return Number
}
