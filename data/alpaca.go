package data

// alpacaRow is one row of Stanford Alpaca's file. Other fields are passed over.
type alpacaRow struct {
	Instruction *string `json:"instruction"`
	Input       *string `json:"input"` // may be absent
	Output      *string `json:"output"`
}

func parseAlpaca(raw []byte) (Row, int, error) {
	var a alpacaRow
	if line, err := unmarshal(raw, &a); err != nil {
		return Row{}, line, err
	}
	if err := wantStrings("instruction", a.Instruction, "output", a.Output); err != nil {
		return Row{}, 0, err
	}
	input := ""
	if a.Input != nil {
		input = *a.Input
	}
	return Row{Prompt: AlpacaPrompt(*a.Instruction, input), Answer: *a.Output}, 0, nil
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
