package train

import "time"

// templateDate is the setting that says what time templates are told.
const templateDate = "template-date"

// startDate is the time of a run's start, as its folder keeps it for templates.
func startDate(start time.Time) string { return start.Format(time.RFC3339) }

// keepDate takes the time that templates are told from the settings that the run began with, unless one is
// given: a run that goes on a day later has the same text.
func (c *Config) keepDate(began Config) {
	if c.TemplateDate == "" {
		c.TemplateDate = began.TemplateDate
	}
}
