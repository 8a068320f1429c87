package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/train"
)

// settingFlags are the flags of a command that takes a run's settings: one for each, and
// perhaps a YAML file before them, over which the flags win.
type settingFlags struct{ given train.Config }

// register adds the flags of all settings that have the use; 0: of all.
func (f *settingFlags) register(c *cobra.Command, use train.Use) {
	f.given = train.Defaults()
	for _, s := range f.given.Settings() {
		if use != 0 && s.Use&use == 0 {
			continue
		}
		flag := c.Flags().VarPF(s, s.Name, "", s.Help())
		if s.IsBool() {
			flag.NoOptDefVal = "true"
		}
	}
	c.Flags().SortFlags = false
}

// config gives the settings: the defaults; over them, with resume, those of the run in
// --out; over them those of the file, if there is one; over them the flags.
func (f *settingFlags) config(c *cobra.Command, files []string, resume bool) (train.Config, error) {
	cfg, err := f.layered(c, files, train.Defaults())
	if err != nil || !resume {
		return cfg, err
	}
	if cfg.Out == "" {
		return cfg, errors.New("--resume: want the run's folder in --out, got none")
	}
	saved := train.Defaults()
	if err := saved.Read(filepath.Join(cfg.Out, train.ConfigFile)); err != nil {
		return cfg, fmt.Errorf("--resume: want --out to be the folder of a run: %w", err)
	}
	return f.layered(c, files, saved)
}

// layered puts the file's settings and the flags over cfg.
func (f *settingFlags) layered(c *cobra.Command, files []string, cfg train.Config) (train.Config, error) {
	for _, path := range files {
		if err := cfg.Read(path); err != nil {
			return cfg, err
		}
	}
	given := f.given.Settings()
	for i, s := range cfg.Settings() {
		if c.Flags().Changed(s.Name) {
			s.CopyFrom(given[i])
		}
	}
	return cfg, nil
}
