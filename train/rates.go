package train

import (
	"fmt"
	"path/filepath"
)

// rates are the values of the settings that may change and are then noted.
func (c *Config) rates() map[string]float64 {
	values := map[string]float64{}
	for _, s := range c.Settings() {
		if s.Resume == Noted {
			values[s.Name] = s.value.(number).float()
		}
	}
	return values
}

// changeRates notes the rates of cfg that are not those of the checkpoint. One that does
// not tell its rates, of an earlier version, had those of the run's config.yaml.
func (s *state) changeRates(cfg Config) error {
	if s.Rates == nil {
		saved := Defaults()
		if err := saved.Read(filepath.Join(cfg.Out, ConfigFile)); err != nil {
			return fmt.Errorf("--resume: %w", err)
		}
		s.Rates = saved.rates()
	}
	now := cfg.rates()
	for _, setting := range cfg.Settings() {
		if name := setting.Name; setting.Resume == Noted && s.Rates[name] != now[name] {
			s.Changes = append(s.Changes, RateChange{s.Step, name, s.Rates[name], now[name]})
		}
	}
	s.Rates = now
	return nil
}

// changed are the changes since the last step.
func (s *state) changed() []RateChange {
	var now []RateChange
	for _, c := range s.Changes {
		if c.Step == s.Step {
			now = append(now, c)
		}
	}
	return now
}
