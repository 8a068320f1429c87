// Package autograd records operations on a tape and walks it backwards.
//
// An operation (Op) is Forward and Backward on tensors. Apply runs one; while a
// Tape is open on the device and an input needs a gradient, it is recorded. Without
// a tape nothing is recorded and nothing saved: that is inference.
//
// A tape is a scope that remembers: it owns every tensor made while it is open and
// frees them in Close, most of them already while Backward walks past.
package autograd
