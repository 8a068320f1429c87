package strictjson

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

type form struct {
	Prompt   *string `json:"prompt"`
	N        int     `json:"n"`
	Messages []struct {
		Content *string `json:"content"`
	} `json:"messages"`
}

func TestUnmarshal(t *testing.T) {
	var f form
	if err := Unmarshal([]byte("\ufeff{\"Prompt\": \"b\", \"prompt\": \"a\", \"PROMPT\": 1, \"n\": 3, \"x\": [1, 2]}"), &f); err != nil {
		t.Fatal(err)
	}
	if *f.Prompt != "a" || f.N != 3 {
		t.Errorf("got %q, %d: names are case-sensitive", *f.Prompt, f.N)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"prompt": "a", "prompt": "b"}`, "line 1: field prompt: want each name once, got it twice"},
		{"{\"x\": {\"y\": 1,\n\"y\": 2}}", "line 2: field x.y: want each name once, got it twice"},
		{`{"prompt": "a \ud83d"}`, "line 1: field prompt: want text, got half a surrogate pair"},
		{`{"prompt": "\ud83d\ud83d"}`, "line 1: field prompt: want text, got half a surrogate pair"},
		{`{"prompt": "\ude00 x"}`, "line 1: field prompt: want text, got half a surrogate pair"},
		{"{\"x\": 1,\n\"prompt\": \"a\xff\"}", "line 2: field prompt: want text in UTF-8, got other bytes"},
		{"{\"prompt\":\n 3}", "line 2: field prompt: want a string, got the number 3"},
		{`{"n": 1.5}`, "line 1: field n: want a whole number of 64 bits, got the number 1.5"},
		{`{"n": "1"}`, "line 1: field n: want a whole number of 64 bits, got a string"},
		{"{\"messages\": [{},\n{\"content\": {}}]}", "line 2: field messages[1].content: want a string, got an object"},
		{`{"messages": {}}`, "line 1: field messages: want a list, got an object"},
		{`[]`, "line 1: want an object, got a list"},
		{"{\"x\": [1,\nNaN]}", "line 2: field x[1]: want a number of JSON, got NaN, which Python's json module writes"},
		{`{"x": Infinity}`, "line 1: field x: want a number of JSON, got Infinity, which Python's json module writes"},
		{`{"x": -Infinity}`, "line 1: field x: want a number of JSON, got -Infinity, which Python's json module writes"},
		{`{"n": 1`, "line 1: want JSON, got its end"},
		{`{"n": 1} x`, "line 1: want JSON, got invalid character 'x' after top-level value"},
	} {
		var f form
		err := Unmarshal([]byte(c.text), &f)
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Error(), c.want) {
			t.Errorf("%.40s:\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	if err := Check([]byte(strings.Repeat(`[`, 20000))); err == nil || !strings.Contains(err.Error(), "max depth") {
		t.Errorf("got %v", err)
	}
}

func TestUnmarshalKnown(t *testing.T) {
	var f form
	err := UnmarshalKnown([]byte(`{"n": 1, "m": 2}`), &f)
	if want := "line 1: field m: want a known name, got another"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMembers(t *testing.T) {
	members, err := Members([]byte(`{"b": [1, 2], "a": "x", "B": null}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range members {
		got = append(got, m.Name+"="+string(m.Value))
	}
	if want := []string{"b=[1, 2]", `a="x"`, "B=null"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, text := range []string{`[1]`, `{"a": 1, "a": 2}`, `{`, `"x"`} {
		if _, err := Members([]byte(text)); err == nil {
			t.Errorf("%s: want an error, got none", text)
		}
	}
}

func TestOffsets(t *testing.T) {
	text := []byte("\ufeff {\"a\": 1,\n\"b\" : [ {\"c\": \"]\"},\n\"x\" , [] ] }")
	members, err := Members(text)
	if err != nil || len(members) != 2 {
		t.Fatalf("%v, error %v", members, err)
	}
	for _, m := range members {
		if got := string(text[m.Offset : m.Offset+len(m.Value)]); got != string(m.Value) {
			t.Errorf("%s: %q stands at its offset, want %q", m.Name, got, m.Value)
		}
	}
	items, err := Items(members[1].Value)
	var got []string
	for _, x := range items {
		got = append(got, string(x.Value))
		if at := string(members[1].Value[x.Offset : x.Offset+len(x.Value)]); at != string(x.Value) {
			t.Errorf("%q stands at the offset of %q", at, x.Value)
		}
	}
	if want := []string{`{"c": "]"}`, `"x"`, `[]`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("items %q, error %v, want %q", got, err, want)
	}
	for text, want := range map[string]string{`{}`: "line 1: want a list, got an object", `[1,]`: "want JSON",
		`[{"a": 1, "a": 2}]`: "each name once"} {
		if _, err := Items([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
	if items, err := Items([]byte(` [ ] `)); err != nil || len(items) != 0 {
		t.Errorf("an empty list: %v, error %v", items, err)
	}
}
