package llama

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
)

// ggufKeys reads the keys of an architecture, keeps the first error and remembers what it knows.
type ggufKeys struct {
	file   *gguf.File
	prefix string // the architecture and a dot
	known  map[string]bool

	partialRotary bool // a part of a head may be turned alone
	err           error
}

func ptr[T any](v T) *T { return &v }

// int is an integer from 0 on; missing, if not nil, is what it is where the key is not.
func (k *ggufKeys) int(name string, missing *int) int {
	v, err := readKey(k, name, missing, k.file.Int)
	if err == nil && v < 0 {
		err = k.wrong(name, "an integer from 0 on", strconv.Itoa(v))
	}
	k.fail(err)
	return v
}

// float is a number, with the few digits that tell its float32 from all others.
func (k *ggufKeys) float(name string, missing *float64) json.Number {
	v, err := readKey(k, name, missing, k.file.Float)
	if err == nil && (v != v || v-v != 0) {
		err = k.wrong(name, "a finite number", fmt.Sprint(v))
	}
	k.fail(err)
	return json.Number(strconv.FormatFloat(v, 'g', -1, 32))
}

func readKey[T any](k *ggufKeys, name string, missing *T, get func(string) (T, error)) (T, error) {
	k.known[name] = true
	if _, ok := k.file.Value(k.prefix + name); !ok && missing != nil {
		return *missing, nil
	}
	return get(k.prefix + name)
}

// must refuses any other value of a key that may be missing.
func (k *ggufKeys) must(name string, want int) {
	if got := k.int(name, &want); got != want {
		k.fail(k.wrong(name, strconv.Itoa(want), strconv.Itoa(got)))
	}
}

func (k *ggufKeys) ignore(names ...string) {
	for _, name := range names {
		k.known[name] = true
	}
}

func (k *ggufKeys) wrong(name, want, got string) error {
	return &gguf.Error{File: k.file.Path(), Key: k.prefix + name, Want: want, Got: got}
}

func (k *ggufKeys) fail(err error) {
	if k.err == nil {
		k.err = err
	}
}

// check is the first error, or the first key of the architecture that nothing has read.
func (k *ggufKeys) check() error {
	for _, m := range k.file.Metadata() {
		if name, ok := strings.CutPrefix(m.Key, k.prefix); ok && !k.known[name] {
			k.fail(k.wrong(name, "no such key, which might change the model", gguf.Describe(m.Value)))
		}
	}
	return k.err
}
