package data

import (
	"errors"
	"fmt"

	"github.com/agora-ml/agora/tokenizer/chat"
)

// chatRow is a conversation: OpenAI's messages, or ShareGPT's conversations. Other
// fields are passed over.
type chatRow struct {
	Messages *[]struct {
		Role    *string `json:"role"`
		Content *string `json:"content"`
	} `json:"messages"`
	Conversations *[]struct {
		From  *string `json:"from"`
		Value *string `json:"value"`
	} `json:"conversations"`
}

// speakers are the roles of those who speak in ShareGPT's rows.
var speakers = map[string]string{
	"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system",
}

func parseChat(raw []byte) (Row, int, error) {
	var c chatRow
	if line, err := unmarshal(raw, &c); err != nil {
		return Row{}, line, err
	}
	messages, err := c.messages()
	return Row{Messages: messages}, 0, err
}

func (c *chatRow) messages() (all []chat.Message, err error) {
	switch {
	case c.Messages != nil:
		for i, m := range *c.Messages {
			if err := wantStrings("role", m.Role, "content", m.Content); err != nil {
				return nil, fmt.Errorf("messages[%d]: %w", i, err)
			}
			all = append(all, chat.Message{Role: *m.Role, Content: *m.Content})
		}
	case c.Conversations != nil:
		for i, m := range *c.Conversations {
			if err := wantStrings("from", m.From, "value", m.Value); err != nil {
				return nil, fmt.Errorf("conversations[%d]: %w", i, err)
			}
			role, ok := speakers[*m.From]
			if !ok {
				return nil, fmt.Errorf("conversations[%d].from: want human, gpt or system, got %.40q", i, *m.From)
			}
			all = append(all, chat.Message{Role: role, Content: *m.Value})
		}
	default:
		return nil, errors.New(`want a list "messages" or "conversations", got none`)
	}
	if len(all) == 0 {
		return nil, errors.New("want messages, got an empty list")
	}
	return all, nil
}
