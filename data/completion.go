package data

import "fmt"

// completionRow is a prompt and what should follow it. Other fields are passed over.
type completionRow struct {
	Prompt     *string `json:"prompt"`
	Completion *string `json:"completion"`
}

func parseCompletion(raw []byte) (Row, int, error) {
	var c completionRow
	if line, err := unmarshal(raw, &c); err != nil {
		return Row{}, line, err
	}
	if err := wantStrings("prompt", c.Prompt, "completion", c.Completion); err != nil {
		return Row{}, 0, err
	}
	return Row{Prompt: *c.Prompt, Answer: *c.Completion}, 0, nil
}

// wantStrings reports the first of two fields that is missing.
func wantStrings(nameA string, a *string, nameB string, b *string) error {
	if a == nil {
		return fmt.Errorf("want a string %q, got none", nameA)
	}
	if b == nil {
		return fmt.Errorf("want a string %q, got none", nameB)
	}
	return nil
}
