package tensor

import (
	"errors"
	"fmt"
	"reflect"
)

// Error is a mistake of the program that uses the engine: a wrong shape, a wrong
// dtype, a tensor that is no longer there.
type Error struct {
	Op  string // the operation, kernel or method that noticed
	Msg string
}

func (e *Error) Error() string { return e.Op + ": " + e.Msg }

// Panicf panics with an *Error.
func Panicf(op, format string, args ...any) {
	panic(&Error{Op: op, Msg: fmt.Sprintf(format, args...)})
}

// NotNil panics with an *Error if value is nil, or a nil pointer: what says what is wanted.
func NotNil(op, what string, value any) {
	if v := reflect.ValueOf(value); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		Panicf(op, "want %s, got nil", what)
	}
}

// Catch runs f and returns the *Error it panicked with, if any. Every other panic
// goes on.
func Catch(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(*Error); ok {
				err = e
				return
			}
			panic(r)
		}
	}()
	f()
	return nil
}

// ErrOutOfMemory is wrapped by the errors of Backend.Alloc when there is too
// little memory, so that Device may free what it holds in reserve and try again.
var ErrOutOfMemory = errors.New("out of memory")

// ErrClosed is the error of a device after its Close.
var ErrClosed = errors.New("the device has been closed")
