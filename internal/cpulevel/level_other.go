//go:build (!amd64 && !arm64) || noasm

package cpulevel

// levels are those of this architecture and build.
var levels = []Level{Plain}

func supported() Level { return Plain }

func fastest(has Level) Level { return has }
