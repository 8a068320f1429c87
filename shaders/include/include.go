// Package include holds the shared pieces of the shaders, for gen: they are what other programs'
// kernels include too.
package include

import "embed"

// Files are the .glsl files of this folder.
//
//go:embed *.glsl
var Files embed.FS
