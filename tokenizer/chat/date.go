package chat

import (
	"fmt"
	"time"
)

// ParseDate reads the date that templates are given: 2026-11-28, which is its midnight, or a
// time as RFC 3339 has it. Templates see the clock of the zone that it names.
func ParseDate(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 0 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("want a date such as 2026-11-28, or a time such as 2026-11-28T09:30:00+01:00,"+
		" got %.40q", text)
}
