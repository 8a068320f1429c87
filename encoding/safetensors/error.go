package safetensors

import (
	"fmt"
	"strings"
)

// Error says which file and tensor are wrong, what was wanted and what came. File or
// Tensor is empty where the matter is not about one.
type Error struct {
	File, Tensor string
	Want, Got    string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("safetensors: ")
	if e.File != "" {
		fmt.Fprintf(&b, "%s: ", e.File)
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

func shapeAndCount(shape []int, n int) string {
	return fmt.Sprintf("%d for %s", n, shapeString(shape))
}

// inFile and inTensor say where an error happened.
func inFile(file string, err error) error {
	if e, ok := err.(*Error); ok && e.File == "" {
		e.File = file
	}
	return err
}

func inTensor(name string, err error) error {
	if e, ok := err.(*Error); ok && e.Tensor == "" {
		e.Tensor = name
	}
	return err
}
