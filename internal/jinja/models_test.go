package jinja

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// modelTemplates are templates written here in the published style of well-known models, shortened.
func modelTemplates(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/models/*.jinja")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d templates, error %v, want at least 20", len(files), err)
	}
	all := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".jinja")] = string(b)
	}
	return all
}

// Templates of models give what transformers makes of them (testdata/models.json, which tools/clients/jinja.py
// writes), or an error where it fails, for conversations of every kind.
func TestModels(t *testing.T) {
	b, err := os.ReadFile("testdata/models.json")
	if err != nil {
		t.Fatal(err)
	}
	var wants map[string]map[string]*string // by model and context; nil: jinja2 fails
	if err := json.Unmarshal(b, &wants); err != nil {
		t.Fatal(err)
	}
	contexts := readTable(t)
	templates := modelTemplates(t)
	equal := 0
	for name, template := range templates {
		if len(wants[name]) != len(contexts.Contexts) {
			t.Errorf("%s: want what it renders in %d contexts, got %d", name, len(contexts.Contexts), len(wants[name]))
		}
		for context, want := range wants[name] {
			r, err := render(name, template, contexts.values(t, context), Options{Now: tableNow})
			switch {
			case want == nil && err == nil:
				t.Errorf("%s, %s: got %q, want an error", name, context, r.Text)
			case want == nil && err.(*Error).Bug:
				t.Errorf("%s, %s: %v", name, context, err)
			case want != nil && (err != nil || r.Text != *want):
				t.Errorf("%s, %s:\ngot  %q, error %v\nwant %q", name, context, r.Text, err, *want)
			case want != nil:
				equal++
			}
		}
	}
	if len(wants) != len(templates) {
		t.Errorf("%d templates, and what %d render", len(templates), len(wants))
	}
	t.Logf("%d templates, %d texts", len(templates), equal)
}

// clientCase is one for tools/clients/jinja.py.
type clientCase struct {
	Name     string          `json:"name"`
	Template string          `json:"template"`
	Values   json.RawMessage `json:"values"`
	Text     *string         `json:"text"` // nil: refused
	Model    string          `json:"model,omitempty"`
	Context  string          `json:"context,omitempty"`
}

// TestCasesForTransformers writes what every template of the table and of models renders, for
// tools/clients/jinja.py, into the folder that AGORA_TRANSFORMERS names.
func TestCasesForTransformers(t *testing.T) {
	out := os.Getenv("AGORA_TRANSFORMERS")
	if out == "" {
		t.Skip("AGORA_TRANSFORMERS names no folder")
	}
	all := readTable(t)
	var cases []clientCase
	add := func(c clientCase, context string) {
		r, err := render(c.Name, c.Template, all.values(t, context), Options{Now: tableNow})
		if c.Values = all.Contexts[context]; err == nil {
			c.Text = &r.Text
		}
		cases = append(cases, c)
	}
	for _, c := range all.Cases {
		add(clientCase{Name: c.Template, Template: c.Template}, c.Context)
	}
	templates := modelTemplates(t)
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		for _, context := range slices.Sorted(maps.Keys(all.Contexts)) {
			add(clientCase{Name: name + ", " + context, Template: templates[name], Model: name, Context: context}, context)
		}
	}
	b, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "cases.json"), b, 0o666); err != nil {
		t.Fatal(err)
	}
}
