// Package fileerror holds what errors about files have in common: how they read, and how they
// show what a hostile file may have made very long.
package fileerror

import (
	"fmt"
	"io"
	"strings"
)

// Place is a part of a file that an error is about, such as a tensor.
type Place struct {
	Kind string // what it is, written before the name; may be empty
	Name string // empty: the error is about no such part
}

// Message returns "PACKAGE: FILE: PLACE: want WANT, got GOT", without what is empty.
func Message(pkg, file, want, got string, places ...Place) string {
	var b strings.Builder
	b.WriteString(pkg + ": ")
	if file != "" {
		b.WriteString(file + ": ")
	}
	for _, p := range places {
		switch {
		case p.Name == "":
		case p.Kind == "":
			b.WriteString(p.Name + ": ")
		default:
			b.WriteString(p.Kind + " " + p.Name + ": ")
		}
	}
	fmt.Fprintf(&b, "want %s, got %s", want, got)
	return b.String()
}

// Quote returns s in quotation marks, shortened to 200 bytes; "" for an empty s is `""`.
func Quote(s string) string {
	short, cut := shorten(s, 200)
	return fmt.Sprintf("%q%s", short, cut)
}

// QuoteName is Quote for the name of a Place: an empty one stays empty.
func QuoteName(s string) string {
	if s == "" {
		return ""
	}
	return Quote(s)
}

// Short returns s, shortened to 80 bytes.
func Short[T ~string | ~[]byte](s T) string {
	short, cut := shorten(string(s), 80)
	return short + cut
}

// shorten returns at most so many bytes of s, and "…" if these are not all.
func shorten(s string, most int) (short, cut string) {
	if len(s) <= most {
		return s, ""
	}
	return strings.ToValidUTF8(s[:most], ""), "…"
}

// Shape returns a tensor's shape in words.
func Shape(shape []int) string {
	if len(shape) > 8 {
		return fmt.Sprintf("a shape of %d dimensions", len(shape))
	}
	return fmt.Sprint(shape)
}

// Limited is a writer that refuses the byte that would be too many.
type Limited struct {
	W    io.Writer
	Left int // bytes that may still come
}

// Write writes b, or nothing and an error where b is longer than what is left.
func (l *Limited) Write(b []byte) (int, error) {
	if len(b) > l.Left {
		return 0, fmt.Errorf("want %d more bytes at most, got %d", l.Left, len(b))
	}
	l.Left -= len(b)
	return l.W.Write(b)
}
