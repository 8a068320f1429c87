// Package tensor says what a tensor is and on what device it lives.
//
// A Tensor is a contiguous row-major block of memory on a Device. A Device adds
// to a Backend (eight methods, see backend.go) all that is the same on every
// piece of hardware: checked arguments, a pool of memory, lifetimes, the first
// error. Gradients, operations and layers are other packages' business.
//
// # Lifetimes
//
// A tensor lives as long as the Scope it was made in; Scope.Keep moves it out.
// Outside any scope its memory comes back after the garbage collector has found
// it unreachable. Using a tensor whose scope has closed panics.
//
// # Errors
//
// The caller's mistakes (wrong shape, wrong dtype, a freed tensor) panic with
// *Error; Catch turns exactly those into an error. The world's faults (no memory,
// a lost device) stick to the Device: work after the first one is skipped, and it
// comes out of every Read, of Flush and of Err.
//
// One goroutine at a time may use a Device and its tensors.
package tensor
