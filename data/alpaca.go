package data

import "errors"

// alpacaRow is one row of Stanford Alpaca's file. Other fields are passed over.
type alpacaRow struct {
	Instruction *string `json:"instruction"`
	Input       *string `json:"input"` // may be absent
	Output      *string `json:"output"`
}

// ReadAlpaca reads rows of instruction, input and output as examples in Alpaca's
// prompt: a JSON array as Alpaca's own file is, or JSONL, and either in a .gz file.
func ReadAlpaca(path string) ([]Example, error) {
	var rows []Example
	err := eachRow(path, func(r alpacaRow) error {
		x, err := r.example()
		rows = append(rows, x)
		return err
	})
	return rows, err
}

func (r alpacaRow) example() (Example, error) {
	if r.Instruction == nil {
		return Example{}, errors.New(`want a string "instruction", got none`)
	}
	if r.Output == nil {
		return Example{}, errors.New(`want a string "output", got none`)
	}
	input := ""
	if r.Input != nil {
		input = *r.Input
	}
	return Example{AlpacaPrompt(*r.Instruction, input), *r.Output}, nil
}

// AlpacaPrompt is the text that Stanford Alpaca (Taori et al., 2023) puts before an
// answer; an empty input is left out.
func AlpacaPrompt(instruction, input string) string {
	if input == "" {
		return "Below is an instruction that describes a task. " +
			"Write a response that appropriately completes the request.\n\n" +
			"### Instruction:\n" + instruction + "\n\n### Response:"
	}
	return "Below is an instruction that describes a task, paired with an input that provides further context. " +
		"Write a response that appropriately completes the request.\n\n" +
		"### Instruction:\n" + instruction + "\n\n### Input:\n" + input + "\n\n### Response:"
}
