package jinja

import (
	"fmt"
	"strings"
	"time"
)

// strftime writes the time as Python's datetime.strftime does in the C locale. Codes that
// it does not know it refuses.
func (m *machine) strftime(format string) string {
	t := m.now
	w := writer{m: m}
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			w.put(format)
			return w.String()
		}
		w.put(format[:i])
		format = format[i+1:]
		unpadded := strings.HasPrefix(format, "-")
		format = strings.TrimPrefix(format, "-")
		if format == "" {
			m.fail("strftime_now: want a code behind %%, got none")
		}
		code := format[0]
		format = format[1:]
		text, ok := dateCode(t, code)
		if !ok || unpadded && !strings.ContainsRune("dmyHIMSjUW", rune(code)) {
			m.fail("strftime_now: want one of %%a %%A %%b %%B %%c %%d %%D %%F %%H %%I %%j %%m %%M %%p %%S %%T %%u "+
				"%%U %%w %%W %%x %%X %%y %%Y %%%% (or %%-d and such), got %%%c", rune(code))
		}
		if unpadded {
			if text = strings.TrimLeft(text, "0"); text == "" {
				text = "0"
			}
		}
		w.put(text)
	}
}

func dateCode(t time.Time, code byte) (string, bool) {
	layouts := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'D': "01/02/06",
		'F': "2006-01-02", 'H': "15", 'I': "03",
		'm': "01", 'M': "04", 'p': "PM", 'R': "15:04", 'S': "05", 'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05",
		'y': "06", 'Y': "2006",
		'c': "Mon Jan _2 15:04:05 2006", 'e': "_2",
	}
	if l, ok := layouts[code]; ok {
		return t.Format(l), true
	}
	switch code {
	case '%', 'n', 't':
		return map[byte]string{'%': "%", 'n': "\n", 't': "\t"}[code], true
	case 'z', 'Z': // the time has no zone, as datetime.now() has none
		return "", true
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay()), true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'w':
		return fmt.Sprint(int(t.Weekday())), true
	case 'u':
		return fmt.Sprint((int(t.Weekday())+6)%7 + 1), true
	case 'U': // weeks begin on Sunday
		return fmt.Sprintf("%02d", (t.YearDay()+6-int(t.Weekday()))/7), true
	case 'W': // on Monday
		return fmt.Sprintf("%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7), true
	case 'G', 'V':
		year, week := t.ISOWeek()
		if code == 'G' {
			return fmt.Sprint(year), true
		}
		return fmt.Sprintf("%02d", week), true
	}
	return "", false
}
