package dist

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Once has process 0 do something, and gives all what came of it, which must survive being JSON. Where there are
// others, an error is a *CommonError.
func Once[T any](w World, do func() (T, error)) (result T, err error) {
	if w.Size() == 1 {
		return do()
	}
	var said struct {
		Result T
		Error  string
	}
	var text []byte
	var own error
	if w.Rank() == 0 {
		if said.Result, own = do(); own != nil {
			said.Error = own.Error()
		}
		if text, err = json.Marshal(said); err != nil {
			return result, err
		}
	}
	parts, err := w.AllGather(text)
	if err != nil {
		return result, errors.Join(own, err)
	}
	if own != nil {
		return result, &CommonError{own}
	}
	if err := json.Unmarshal(parts[0], &said); err != nil {
		return result, fmt.Errorf("dist: what process 0 says: %w", err)
	}
	if said.Error != "" {
		return result, &CommonError{errors.New(said.Error)}
	}
	return said.Result, nil
}
