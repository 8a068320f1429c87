package chat

import (
	"slices"
	"strings"
)

// TurnEnds are the special tokens with which the template ends an answer, the last of a
// conversation and one before; none if it uses no special token for that, or if that cannot
// be told.
func (t *Template) TurnEnds() []int32 {
	const answer = "answer"
	turns := []Message{{Role: "user", Content: "question"}, {Role: "assistant", Content: answer}}
	system := Message{Role: "system", Content: "system"}
	var ends []int32
	for _, messages := range [][]Message{turns, slices.Concat(turns, turns), slices.Concat([]Message{system}, turns)} {
		parts, err := t.Parts(messages, false)
		if err != nil {
			continue // some templates want a system's message, others none
		}
		for i, p := range parts[:max(len(parts)-1, 0)] {
			_, behind, ok := strings.Cut(p.Text, answer)
			next := parts[i+1]
			if ok && !p.Special && strings.TrimSpace(behind) == "" && next.Special && !slices.Contains(ends, next.ID) {
				ends = append(ends, next.ID)
			}
		}
	}
	return ends
}
