package gguf

import "github.com/agora-ml/agora/internal/fileerror"

// Error says which file, and which metadata key or tensor of it, is wrong, what was
// wanted and what came. File, Key and Tensor are empty where the matter is not about one.
type Error struct {
	File, Key, Tensor string
	Want, Got         string
}

func (e *Error) Error() string {
	return fileerror.Message("gguf", e.File, e.Want, e.Got,
		fileerror.Place{Kind: "key", Name: fileerror.QuoteName(e.Key)},
		fileerror.Place{Kind: "tensor", Name: fileerror.QuoteName(e.Tensor)})
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
