package llama

import "fmt"

// ReadNewConfig reads a config.json, by its own path, for a model that New or NewAs makes
// and that is trained from random weights on the texts of a tokenizer with so many ids.
// Its sizes must stand there, and a deviation of the weights above 0; the ids that it names
// must be among the vocabulary, as the tokenizer's must.
func ReadNewConfig(path string, ids int) (Config, error) {
	text, err := readSmall(path)
	if err != nil {
		return Config{}, err
	}
	c, err := parseConfig(path, text)
	if err != nil {
		return c, err
	}
	fail := func(field, want string, got any) error {
		return &Error{File: path, Field: field, Want: want, Got: fmt.Sprint(got)}
	}
	// What a model that is there may leave to its family's defaults, its weights confirm.
	for _, name := range []string{
		"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
	} {
		if _, ok := c.source[name]; !ok {
			return c, fail(name, "the new model's size", "none")
		}
	}
	if c.Vocab < ids {
		return c, fail("vocab_size", fmt.Sprintf("at least the %d ids of the tokenizer", ids), c.Vocab)
	}
	for _, id := range c.EOS {
		if id < 0 || int(id) >= c.Vocab {
			return c, fail("eos_token_id", fmt.Sprintf("0 to %d", c.Vocab-1), id)
		}
	}
	switch {
	case c.BOS < -1 || int(c.BOS) >= c.Vocab:
		return c, fail("bos_token_id", fmt.Sprintf("0 to %d", c.Vocab-1), c.BOS)
	case c.InitRange <= 0:
		return c, fail("initializer_range", "a positive number", c.InitRange)
	}
	return c, nil
}
