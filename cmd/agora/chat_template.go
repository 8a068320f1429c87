package main

import "fmt"

// message is one thing said in a chat.
type message struct{ Role, Content string }

// chatTemplate is how the model of a folder is told a conversation.
func chatTemplate(dir string, w *writer) (func([]message) ([]int32, error), error) {
	return nil, fmt.Errorf("%s: want a chat template, got none", dir)
}
