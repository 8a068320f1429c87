package tasks_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/agora-ml/agora/tasks"
)

// A row of BoolQ as a model reads it, and what it is to write.
func ExampleTask_Read() {
	dir, err := os.MkdirTemp("", "boolq")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "val.jsonl")
	row := `{"question": "is the sea salty", "title": "Sea", "passage": "Its water is saline.", "answer": true}`
	if err := os.WriteFile(path, []byte(row), 0o666); err != nil {
		log.Fatal(err)
	}

	task, err := tasks.Find("boolq")
	if err != nil {
		log.Fatal(err)
	}
	examples, err := task.Read(path, 0)
	if err != nil {
		log.Fatal(err)
	}
	e := examples[0]
	fmt.Println(e.Prompt)
	fmt.Printf("%q, of %q\n", e.Answer, e.Choices)
	// Output:
	// Sea -- Its water is saline.
	// Question: is the sea salty?
	// Answer:
	// " yes", of [" no" " yes"]
}
