package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
)

// What a folder's card says of the license goes into the file, and what a file says of itself into the next.
func TestGGUFAbout(t *testing.T) {
	for card, want := range map[string][]gguf.KeyValue{
		"---\nlanguage:\n- en\nlicense: apache-2.0\n---\nlicense: mit\n": {{Key: "general.license", Value: "apache-2.0"}},
		"---\r\nlicense: other\r\nlicense_name: 'llama3.2'\r\nlicense_link: https://a.b/c?d=e:f\r\n---\r\n": {
			{Key: "general.license", Value: "other"}, {Key: "general.license.name", Value: "llama3.2"},
			{Key: "general.license.link", Value: "https://a.b/c?d=e:f"}},
		"---\nlicense:\n- mit\n---\n":     {{Key: "general.license", Value: "mit"}},
		"---\nlicense: [mit]\nlicense: x": {{Key: "general.license", Value: "mit"}},
		"---\nlicense:":                   nil,
		"# A model\nlicense: mit\n":       nil,
		"":                                nil,
	} {
		dir := filepath.Join(t.TempDir(), "my-model")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		writeFiles(t, dir, map[string]string{modelCard: card})
		got, err := ggufAbout(dir)
		want := append([]gguf.KeyValue{{Key: "general.name", Value: "my-model"}}, want...)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, error %v, want %v", card, got, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "file.gguf")
	own := []gguf.KeyValue{{Key: "general.name", Value: "Its Name"}, {Key: "general.tags", Value: []string{"a", "b"}}}
	if err := gguf.Write(path, append(own, gguf.KeyValue{Key: "general.file_type", Value: uint32(15)})); err != nil {
		t.Fatal(err)
	}
	if got, err := ggufAbout(path); err != nil || !reflect.DeepEqual(got, own) {
		t.Errorf("got %v, error %v, want %v", got, err, own)
	}
}
