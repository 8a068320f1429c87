package train

import (
	"path/filepath"
	"time"
)

// templateDate is the setting that says what time templates are told.
const templateDate = "template-date"

// startDate is the time of a run's start, as its folder keeps it for templates.
func startDate(start time.Time) string { return start.Format(time.RFC3339) }

// keepDate takes the time that templates are told from where the run began, unless one is
// given: a run that goes on a day later has the same text. The checkpoint knows it, and
// config.yaml, which is there before the first step.
func (c *Config) keepDate(s state) {
	if c.TemplateDate != "" {
		return
	}
	if date, ok := s.Settings[templateDate]; ok {
		c.TemplateDate = date
		return
	}
	began := Defaults()
	if began.Read(filepath.Join(c.Out, ConfigFile)) == nil { // else checkSame says why
		c.TemplateDate = began.TemplateDate
	}
}
