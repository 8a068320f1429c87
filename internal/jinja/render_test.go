package jinja

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func valid(s string) bool { return utf8.ValidString(s) }

// Generation blocks write what is in them; where that stands is told where it is known.
func TestGenerated(t *testing.T) {
	for _, c := range []struct {
		source, text string
		generated    []string
		displaced    bool
	}{
		{"é{% generation %}ab{% endgeneration %}c", "éabc", []string{"ab"}, false},
		{"{% for x in l %}[{% generation %}{{ x }}{% endgeneration %}]{% endfor %}", "[1][2]", []string{"1", "2"},
			false},
		{"{% generation %}\n  {%- if true -%} a {%- endif -%}\n{% endgeneration %}b", "ab", []string{"a"}, false},
		{"{% generation %}a{% generation %}b{% endgeneration %}{% endgeneration %}", "ab", []string{"ab"}, true},
		{"{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}x{{ m() }}", "xa", nil, true},
		{"{% set x %}{% generation %}a{% endgeneration %}{% endset %}x{{ x }}", "xa", nil, true},
		{"{% filter upper %}{% generation %}a{% endgeneration %}{% endfilter %}", "A", nil, true},
		{"{% for x in l recursive %}{% generation %}a{% endgeneration %}{% endfor %}", "aa", nil, true},
		{"{% if false %}{% generation %}a{% endgeneration %}{% endif %}b", "b", nil, false},
	} {
		r, err := render("generated", c.source, Pairs("l", &List{[]Value{int64(1), int64(2)}}), Options{})
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		var got []string
		for _, s := range r.Generated {
			got = append(got, r.Text[s.From:s.To])
		}
		if r.Text != c.text || !slices.Equal(got, c.generated) || r.Displaced != c.displaced {
			t.Errorf("%s: got %q, generated %q, displaced %v", c.source, r.Text, got, r.Displaced)
		}
	}
}

func TestAsksTime(t *testing.T) {
	for source, want := range map[string]bool{
		"{{ strftime_now('%d') }}": true, "{% if strftime_now is defined %}{% endif %}": true,
		"strftime_now": false, "{# strftime_now #}": false, "{{ 'strftime_now' }}": false,
	} {
		parsed, err := Parse("", source)
		if err != nil || parsed.AsksTime() != want {
			t.Errorf("%s: asks the time: %v, error %v", source, parsed.AsksTime(), err)
		}
	}
	if _, err := render("", "{{ strftime_now('%d') }}", &Dict{}, Options{}); err == nil ||
		!strings.Contains(err.Error(), "strftime_now: want a date") {
		t.Errorf("without a time: %v", err)
	}
}

// The codes of Python's strftime at three times, as Python writes them.
func TestStrftime(t *testing.T) {
	const codes = "%a|%A|%b|%B|%c|%d|%-d|%D|%e|%f|%F|%G|%H|%-H|%I|%-I|%j|%-j|%m|%-m|%M|%n|%p|%R|%S|%t|%T|%u|%U|%V|%w|%W|%x|%X|%y|%Y|%z|%Z|%%"
	for at, want := range map[string]string{
		"2024-07-06T09:08:07Z":        "Sat|Saturday|Jul|July|Sat Jul  6 09:08:07 2024|06|6|07/06/24| 6|000000|2024-07-06|2024|09|9|09|9|188|188|07|7|08|\n|AM|09:08|07|\t|09:08:07|6|26|27|6|27|07/06/24|09:08:07|24|2024|||%",
		"2023-01-01T00:00:00+02:00":   "Sun|Sunday|Jan|January|Sun Jan  1 00:00:00 2023|01|1|01/01/23| 1|000000|2023-01-01|2022|00|0|12|12|001|1|01|1|00|\n|AM|00:00|00|\t|00:00:00|7|01|52|0|00|01/01/23|00:00:00|23|2023|||%",
		"2020-12-31T23:59:58.123456Z": "Thu|Thursday|Dec|December|Thu Dec 31 23:59:58 2020|31|31|12/31/20|31|123456|2020-12-31|2020|23|23|11|11|366|366|12|12|59|\n|PM|23:59|58|\t|23:59:58|4|52|53|4|52|12/31/20|23:59:58|20|2020|||%",
	} {
		now, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			t.Fatal(err)
		}
		r, err := render("", "{{ strftime_now('"+codes+"') }}", &Dict{}, Options{Now: now})
		if err != nil || r.Text != want {
			t.Errorf("%s:\ngot  %q, error %v\nwant %q", at, r.Text, err, want)
		}
	}
	for _, code := range []string{"%Q", "%s", "%C", "%k", "%-a", "%", "%E", "%-", "%-%", "%é"} {
		if _, err := render("", "{{ strftime_now('"+code+"') }}", &Dict{}, Options{Now: tableNow}); err == nil {
			t.Errorf("%s: no error", code)
		}
	}
}

// A sealed character is written as itself, and treated as what it stands for.
func TestSealed(t *testing.T) {
	values := Pairs("s", "\ufdd0|x|>", "q", "\ufdd1")
	sealed := map[rune]rune{0xfdd0: '<', 0xfdd1: '\''}
	for source, want := range map[string]string{
		"{{ s }}": "\ufdd0|x|>", "{{ [s] }}": "['\ufdd0|x|>']", "{{ s|tojson }}": "\"\ufdd0|x|>\"",
		"{{ s|tojson(ensure_ascii=true) }}": "\"\ufdd0|x|>\"",
		"{{ [q] }}":                         "[\"\ufdd1\"]", "{{ s|e }}": "&lt;|x|&gt;", "{{ s|length }}": "5",
		"{{ '%a' % s }}": "'\ufdd0|x|>'",
	} {
		r, err := render("sealed", source, values, Options{Sealed: sealed})
		if err != nil || r.Text != want {
			t.Errorf("%s: got %q, error %v, want %q", source, r.Text, err, want)
		}
	}
}

// Where the template looks for what a sealed character stands for, the answer would be
// another than jinja2's.
func TestSealedIsNotLookedFor(t *testing.T) {
	values := Pairs("s", "a\ufdd0|x|>b", "other", "a<b")
	sealed := map[rune]rune{0xfdd0: '<'}
	for _, source := range []string{
		"{{ '<|x|>' in s }}", "{{ s.split('<|x|>') }}", "{{ s.replace('<', '') }}", "{{ s|replace('<|x|>', '') }}",
		"{{ s.startswith('a<') }}",
		"{{ s.endswith('<|x|>b') }}", "{{ s.find('<') }}", "{{ s.count('<') }}", "{{ s.partition('<') }}",
		"{{ s.removeprefix('a<') }}", "{{ s == 'a<|x|>b' }}", "{{ s[1:].lstrip('<') }}",
	} {
		if r, err := render("sealed", source, values, Options{Sealed: sealed}); err == nil ||
			!strings.Contains(err.Error(), "want messages that do not spell") {
			t.Errorf("%s: got %q, error %v", source, r.Text, err)
		}
	}
	for source, want := range map[string]string{
		"{{ '</think>' in s }}": "False", "{{ s.split('|')[1] }}": "x", "{{ s.startswith('a') }}": "True",
		"{{ s == 'a' }}": "False", "{{ other.split('<')[1] }}": "b", "{{ s.strip('ab') }}": "\ufdd0|x|>",
	} {
		if r, err := render("sealed", source, values, Options{Sealed: sealed}); err != nil || r.Text != want {
			t.Errorf("%s: got %q, error %v, want %q", source, r.Text, err, want)
		}
	}
}

func TestFromJSON(t *testing.T) {
	got, err := FromJSON([]byte(`{"b": [1, -2, 1.0, 1e3, true, null, "é\n"], "a": {}}`))
	want := Pairs("b", &List{[]Value{int64(1), int64(-2), 1.0, 1000.0, true, nil, "é\n"}}, "a", &Dict{})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, error %v", got, err)
	}
	for _, text := range []string{`{"a": 1, "a": 2}`, `[9223372036854775808]`, `[1`, `"\ud800"`,
		strings.Repeat("[", 200) + strings.Repeat("]", 200)} {
		if v, err := FromJSON([]byte(text)); err == nil {
			t.Errorf("%.20s: got %v, want an error", text, v)
		}
	}
	deep := Value("x")
	for range 200 {
		deep = &List{[]Value{deep}}
	}
	for _, v := range []Value{deep, 3, struct{}{}, []any{}} {
		if _, err := render("values", "{{ 1 }}", Pairs("v", v), Options{}); err == nil {
			t.Errorf("%T: no error", v)
		}
	}
}
