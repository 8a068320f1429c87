// Command asmgen writes the Go assembly of backend/cpu and the declarations
// beside it. It is a module of its own, so that users of the engine never build
// or depend on it. Run it in its folder:
//
//	go run .
//
// Its output is committed; running it again must change nothing.
package main

import (
	"fmt"
	"os"
)

// files lists every generated file, one function a package of kernels.
func files() []*File {
	var all []*File
	all = append(all, gemmFiles()...)
	all = append(all, vecFiles()...)
	return all
}

func main() {
	for _, f := range files() {
		if err := f.write(); err != nil {
			fmt.Fprintln(os.Stderr, "asmgen:", err)
			os.Exit(1)
		}
	}
}
