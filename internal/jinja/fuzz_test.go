package jinja

import (
	"context"
	"errors"
	"testing"
	"time"
)

// FuzzTemplate renders any text. It ends within its limits, and what fails names the
// template; twice it gives the same.
func FuzzTemplate(f *testing.F) {
	all := readTable(f)
	for i, c := range all.Cases {
		if c.Family != "" || i%3 == 0 {
			f.Add(c.Template)
		}
	}
	for _, c := range hostile {
		if len(c.source) < 1000 {
			f.Add(c.source)
		}
	}
	values := all.values(f, "chat")
	limits := Limits{Steps: 100_000, Bytes: 4 << 20, Time: time.Minute}
	f.Fuzz(func(t *testing.T, source string) {
		before := allocated()
		parsed, err := Parse("fuzz", source)
		var r Result
		if err == nil {
			r, err = parsed.Render(context.Background(), values, Options{Now: tableNow, Limits: limits})
		}
		if made := allocated() - before; made > 64<<20 {
			t.Errorf("made %d MiB", made>>20)
		}
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Bug || e.Name != "fuzz" || e.Message == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		if len(r.Text) > int(limits.Bytes) {
			t.Errorf("%d bytes of text", len(r.Text))
		}
		last := 0
		for _, s := range r.Generated {
			if s.From < last || s.To < s.From || s.To > len(r.Text) {
				t.Errorf("generated %v of %d bytes", r.Generated, len(r.Text))
			}
			last = s.From
		}
		if again, err := parsed.Render(context.Background(), values,
			Options{Now: tableNow, Limits: limits}); err != nil || again.Text != r.Text {
			t.Errorf("a second time %q, error %v, want %q", again.Text, err, r.Text)
		}
	})
}

// Properties that hold for any string, within the interpreter: what a template takes apart
// and puts together is what it was.
func FuzzStrings(f *testing.F) {
	for _, s := range []string{"", "a", "a b", "ß é ΑΣ", "\x00\u2028\n", "日本語", "'\"\\", "%s{}", "İŉ"} {
		f.Add(s, "a")
		f.Add(s, s)
	}
	const source = `{{ s[::-1][::-1] == s }}{{ s|list|join == s }}{{ (s|length) == (s|list|length) }}` +
		`{{ t == '' or t.join(s.split(t)) == s }}{{ t == '' or t.join(s.rsplit(t)) == s }}{{ s.splitlines(true)|join == s }}` +
		`{{ s.partition(t ~ 'x')|join == s }}{{ (s in t ~ s ~ t) and (s ~ t).startswith(s) and (t ~ s).endswith(s) }}` +
		`{{ s.replace(t, t) == s }}{{ '%s' % s == s }}{{ '{}'.format(s) == s }}{{ (s[:3] ~ s[3:]) == s }}` +
		`{{ s.count(t) == (s|length) + 1 if t == '' else s.count(t) == (s.split(t)|length) - 1 }}` +
		`{{ s.find(t) == -1 or s[s.find(t):].startswith(t) }}{{ s.ljust(9).rjust(12)|length == [s|length, 12]|max }}`
	parsed, err := Parse("strings", source)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !valid(a) || !valid(b) || len(a)+len(b) > 1000 {
			t.Skip()
		}
		r, err := parsed.Render(context.Background(), Pairs("s", a, "t", b), Options{})
		if want := "TrueTrueTrueTrueTrueTrueTrueTrueTrueTrueTrueTrueTrueTrueTrue"; err != nil || r.Text != want {
			t.Errorf("%q, %q: got %s, error %v", a, b, r.Text, err)
		}
		quoted, err := render("json", "{{ s|tojson }}", Pairs("s", a), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := FromJSON([]byte(quoted.Text)); err != nil || back != a {
			t.Errorf("%q: its JSON %s is read as %q, error %v", a, quoted.Text, back, err)
		}
	})
}
