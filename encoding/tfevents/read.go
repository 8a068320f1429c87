package tfevents

import (
	"fmt"
	"io"
	"iter"
)

// Read yields the events of a file in their order. It stops with an error at the first record
// that is broken or cut short; the error names its number and where it begins. An
// error that is io.ErrUnexpectedEOF is the end of a file that was not finished.
func Read(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		at := int64(0)
		for number := 1; ; number++ {
			data, err := readRecord(r)
			if err == io.EOF {
				return
			}
			var e Event
			if err == nil {
				e, err = parseEvent(data)
			}
			if err != nil {
				yield(Event{}, fmt.Errorf("tfevents: event %d at byte %d: %w", number, at, err))
				return
			}
			if !yield(e, nil) {
				return
			}
			at += recordHeader + int64(len(data)) + recordFooter
		}
	}
}
