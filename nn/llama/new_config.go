package llama

import "fmt"

// ReadNewConfig reads a config.json, by its own path, for a model that New or NewAs makes
// and that is trained from random weights on the texts of a tokenizer with so many ids.
// Beside what every model needs it must name the ids that end a text, which must be among
// the vocabulary as the tokenizer's ids must, and a deviation of the weights above 0.
func ReadNewConfig(path string, ids int) (Config, error) {
	text, err := readSmall(path)
	if err != nil {
		return Config{}, err
	}
	c, err := ParseConfig(path, text)
	if err != nil {
		return c, err
	}
	fail := func(field, want string, got any) error {
		return &Error{File: path, Field: field, Want: want, Got: fmt.Sprint(got)}
	}
	if c.Vocab < ids {
		return c, fail("vocab_size", fmt.Sprintf("at least the %d ids of the tokenizer", ids), c.Vocab)
	}
	if len(c.EOS) == 0 {
		return c, fail("eos_token_id", "the id that ends a text, or a list of them", "none")
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
