package chat_test

import (
	"fmt"

	"github.com/agora-ml/agora/tokenizer/chat"
)

// These forms have names; Load reads the one that comes with a model.
func ExampleNames() {
	fmt.Println(chat.Names())
	// Output: [chatml llama2 llama3 mistral]
}
