package tokenizer

import "strings"

// Stopper turns ids into text up to the first of some stop strings. What it gives never
// holds a stop string or a part of one that the following ids complete.
type Stopper struct {
	decoder *Decoder
	stops   []string
	held    string // may be the beginning of a stop string
}

// NewStopper goes on where a Decoder stands, so that a prompt pushed into it beforehand
// stops nothing. Empty stop strings are none.
func NewStopper(d *Decoder, stops ...string) *Stopper {
	s := &Stopper{decoder: d}
	for _, stop := range stops {
		if stop != "" {
			s.stops = append(s.stops, stop)
		}
	}
	return s
}

// Push gives the text that id makes certain, which may be none; stopped says that a stop
// string has followed it: the text has ended.
func (s *Stopper) Push(id int32) (text string, stopped bool) { return s.add(s.decoder.Push(id)) }

// Flush gives what is left at the end of a text that no stop string has ended.
func (s *Stopper) Flush() string {
	text, stopped := s.add(s.decoder.Flush())
	if !stopped {
		text += s.held
	}
	s.held = ""
	return text
}

func (s *Stopper) add(more string) (text string, stopped bool) {
	s.held += more
	// The stop string that is complete first counts, of several the longest: so the text
	// does not depend on how it comes in pieces.
	start, end := 0, len(s.held)+1
	for _, stop := range s.stops {
		i := strings.Index(s.held, stop)
		if j := i + len(stop); i >= 0 && (j < end || j == end && i < start) {
			start, end = i, j
		}
	}
	if end <= len(s.held) {
		text, s.held = s.held[:start], ""
		return text, true
	}
	end = len(s.held)
	for _, stop := range s.stops {
		end = min(end, len(s.held)-overlap(s.held, stop))
	}
	text, s.held = s.held[:end], s.held[end:]
	return text, false
}

// overlap is the length of the longest end of text that stop begins with.
func overlap(text, stop string) int {
	for n := min(len(text), len(stop)-1); n > 0; n-- {
		if strings.HasSuffix(text, stop[:n]) {
			return n
		}
	}
	return 0
}
