package safetensors

import (
	"fmt"

	"github.com/agora-ml/agora/internal/fileerror"
)

// Error says which file and tensor are wrong, what was wanted and what came. File or
// Tensor is empty where the matter is not about one.
type Error struct {
	File, Tensor string
	Want, Got    string
}

func (e *Error) Error() string {
	return fileerror.Message("safetensors", e.File, e.Want, e.Got,
		fileerror.Place{Kind: "tensor", Name: fileerror.QuoteName(e.Tensor)})
}

func shapeAndCount(shape []int, n int) string {
	return fmt.Sprintf("%d for %s", n, fileerror.Shape(shape))
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
