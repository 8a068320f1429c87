package gguf

import (
	"fmt"
	"strings"
)

// Error says which file, and which metadata key or tensor of it, is wrong, what was
// wanted and what came. File, Key and Tensor are empty where the matter is not about one.
type Error struct {
	File, Key, Tensor string
	Want, Got         string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("gguf: ")
	if e.File != "" {
		fmt.Fprintf(&b, "%s: ", e.File)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, "key %s: ", quote(e.Key))
	}
	if e.Tensor != "" {
		fmt.Fprintf(&b, "tensor %s: ", quote(e.Tensor))
	}
	fmt.Fprintf(&b, "want %s, got %s", e.Want, e.Got)
	return b.String()
}

// quote shortens what a hostile file may have made very long.
func quote(s string) string {
	const most = 200
	if len(s) > most {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(s[:most], ""))
	}
	return fmt.Sprintf("%q", s)
}

func shapeString(shape []int) string {
	if len(shape) > 8 {
		return fmt.Sprintf("a shape of %d dimensions", len(shape))
	}
	return fmt.Sprint(shape)
}

// inFile, inKey and inTensor say where an error happened.
func inFile(file string, err error) error {
	if e, ok := err.(*Error); ok && e.File == "" {
		e.File = file
	}
	return err
}

func inKey(key string, err error) error {
	if e, ok := err.(*Error); ok && e.Key == "" {
		e.Key = key
	}
	return err
}

func inTensor(name string, err error) error {
	if e, ok := err.(*Error); ok && e.Tensor == "" {
		e.Tensor = name
	}
	return err
}
