// Package jinja renders the chat templates that come with models. It gives what Python's
// jinja2 gives with the settings of transformers (trim_blocks, lstrip_blocks, break and
// continue, an immutable sandbox, tojson without escapes, raise_exception, strftime_now,
// {% generation %}), to the byte, or an error: nothing is rendered otherwise. What it
// knows to be missing here (autoescape, inheritance, random and HTML filters, integers
// beyond 64 bits) is refused by its name.
//
// A template is a program of a stranger. Every step of it is counted, in statements and
// within expressions, every byte before it is made, and whatever calls itself or lies in
// itself has a depth at which it ends (Limits). There is no file, no clock and no chance
// in it but what the caller hands in.
package jinja
