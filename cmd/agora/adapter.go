package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
)

// adapterFlag names an adapter.
type adapterFlag struct {
	path  string
	force bool
}

func (f *adapterFlag) register(c *cobra.Command) {
	c.Flags().StringVar(&f.path, "adapter", "", "adapter: a folder of Agora or PEFT, or a GGUF file")
	c.Flags().BoolVar(&f.force, "force", false, "use the adapter although the model is not the one that it was made "+
		"for, or holds it already")
}

// given reports whether there is one.
func (f *adapterFlag) given() bool { return f.path != "" }

// open puts the adapter beside the model's layers.
func (f *adapterFlag) open(c *cobra.Command, m *llama.Model) (*multilora.Adapter, error) {
	a, err := multilora.Open(m, f.path, f.options())
	if err != nil {
		return nil, err
	}
	noteMatch(c, a)
	return a, nil
}

// eosToken is what ends a text for the adapter, and the field that says so; both are empty where none does. What is no
// adapter is open's to refuse.
func (f *adapterFlag) eosToken() (token, field string) {
	if !f.given() {
		return "", ""
	}
	info, err := multilora.ReadInfo(f.path)
	if err != nil || info.EOSToken == "" {
		return "", ""
	}
	return info.EOSToken, filepath.Join(f.path, multilora.InfoFile) + ": field eos_token"
}

// endOf is the token that ends a text for the adapter, among those of a model: what is written of the two has to know it. -1: none
// does.
func (f *adapterFlag) endOf(c *cobra.Command, model string) int32 {
	token, _ := f.eosToken()
	if token == "" {
		return -1
	}
	tok, err := (&modelFlags{model: model, adapter: *f}).loadTokenizer()
	if err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "warning: what is written does not know that %q ends a text: %s\n", token,
			printable.Name(err.Error()))
		return -1
	}
	id, _ := tok.EOS()
	return id
}

func (f *adapterFlag) options() multilora.Options { return multilora.Options{AnyBase: f.force} }

// noteMatch says what a user should know of how an adapter and the model match.
func noteMatch(c *cobra.Command, a *multilora.Adapter) {
	if note := a.MatchNote(); note != "" {
		fmt.Fprintln(c.ErrOrStderr(), note)
	}
}
