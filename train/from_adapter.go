package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
)

// continueAdapter puts the adapter of from-adapter beside the model's layers, to train on as
// what it is. The model becomes its base.
func (r *run) continueAdapter(m *llama.Model) (err error) {
	cfg := &r.cfg
	r.adapter, err = multilora.Open(m, cfg.FromAdapter, multilora.Options{AnyBase: r.options.AnyBase, Continue: true})
	if err != nil {
		return cfg.wrong("from-adapter", err)
	}
	return r.adopt(fmt.Sprintf("the adapter %s of from-adapter has it", cfg.FromAdapter))
}

// adopt makes the adapter's configuration the run's, and refuses settings that say otherwise, with
// the reason why it is what it is.
func (r *run) adopt(because string) error {
	cfg := &r.cfg
	its := *cfg
	its.Adapter = r.adapter.Config()
	wanted := its.Settings()
	for i, s := range cfg.Settings() {
		switch {
		case s.Group != groupAdapter || s.Resume == Movable || !cfg.chosen(s) || sameSetting(s, wanted[i]):
		case s.Name == "dropout": // is nothing that the adapter has learned
			if err := r.adapter.SetDropout(cfg.Adapter.Dropout); err != nil {
				return cfg.wrong("dropout", err)
			}
		default:
			return cfg.wrongf(s.Name, "want %s, as %s, or none, got %s", orNothing(wanted[i]), because, orNothing(s))
		}
	}
	cfg.Adapter = r.adapter.Config()
	return nil
}

// chooseEOS takes the token that ends a text from the adapters that training begins with, unless it is given; from is the first
// that names one.
func (c *Config) chooseEOS() (from string, err error) {
	if c.EOSToken != "" {
		return "", nil
	}
	paths := c.Branches
	if c.FromAdapter != "" {
		paths = []string{c.FromAdapter}
	}
	for _, path := range paths {
		info, err := multilora.ReadInfo(path)
		switch { // other forms name none, and a folder that is no adapter is for multilora.Open to refuse
		case err != nil || info.EOSToken == "" || info.EOSToken == c.EOSToken:
		case from != "":
			return "", c.wrongf("eos-token", "want one, as %s has %q and %s %q, got none", from, c.EOSToken, path, info.EOSToken)
		default:
			from, c.EOSToken = path, info.EOSToken
		}
	}
	return from, nil
}

// chosen reports whether somebody has chosen a setting of the adapter: it was given as such, or
// is not what it would be without.
func (c *Config) chosen(s *Setting) bool {
	if c.isGiven(s.Name) {
		return true
	}
	d := Defaults()
	if s.Name != "method" {
		d.Adapter.Method = c.Adapter.Method
	}
	if s.Name != "rank" {
		d.Adapter.Rank = c.Adapter.Rank
	}
	d.Resolve()
	all := d.Settings()
	i := slices.IndexFunc(all, func(other *Setting) bool { return other.Name == s.Name })
	return all[i].String() != s.String()
}

// sameSetting compares values; the order of a list does not count.
func sameSetting(a, b *Setting) bool {
	if list, ok := a.value.(*listValue); ok {
		return list.same(b.value)
	}
	return a.String() == b.String()
}

func orNothing(s *Setting) string {
	if text := s.String(); strings.TrimSpace(text) != "" {
		return text
	}
	return "nothing"
}
