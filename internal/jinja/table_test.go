package jinja

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// table holds what jinja2 3.1.6 makes of templates in the settings of transformers;
// tools/clients/jinja.py compares them, and says how.
type table struct {
	Contexts map[string]json.RawMessage
	Cases    []tableCase
}

type tableCase struct {
	Template, Context, Family string
	Want                      *string // nil: jinja2 fails
}

func readTable(t testing.TB) *table {
	t.Helper()
	b, err := os.ReadFile("testdata/table.json")
	if err != nil {
		t.Fatal(err)
	}
	var all table
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return &all
}

func (all *table) values(t testing.TB, name string) *Dict {
	t.Helper()
	v, err := FromJSON(all.Contexts[name])
	if err != nil {
		t.Fatal(err)
	}
	return v.(*Dict)
}

var tableNow = time.Date(2024, 7, 6, 9, 8, 7, 0, time.UTC)

func render(name, source string, values *Dict, o Options) (Result, error) {
	t, err := Parse(name, source)
	if err != nil {
		return Result{}, err
	}
	return t.Render(context.Background(), values, o)
}

// refused are the templates of the table that jinja2 renders and this package does not,
// each with what the error says.
var refused = map[string]string{
	`{{ 1 is sameas 1 }}`:          `sameas: want values that are surely one object or two, got equal ones of type int`,
	`{{ {'b':1}|items }}`:          `want a value whose text does not hold where it lies in memory, got generator`,
	`{{ '<b>'|escape|upper }}`:     `upper: want a string that is not marked as safe, got one`,
	`{{ 2**63 }}`:                  `limit of integers: want 64 bits, got more`,
	`{{ 2**64 }}`:                  `limit of integers: want 64 bits, got more`,
	`{{ 9223372036854775807+1 }}`:  `limit of integers: want 64 bits, got more`,
	`{{ -9223372036854775807-2 }}`: `limit of integers: want 64 bits, got more`,
	`{{ 9223372036854775807*2 }}`:  `limit of integers: want 64 bits, got more`,
	`{{ strftime_now('%Q') }}`:     `strftime_now: want one of %a %A %b %B %c %d %D %F %H %I %j %m %M %p %S %T %u %U %w %W %x %X %y %Y %% (or %-d and such), got %Q`,
	`{{ raise_exception }}`:        `want a value whose text does not hold where it lies in memory, got function`,
	`{{ n.real }}`:                 `want an attribute that chat templates need, got real of int, which is refused`,
	`{{ s.encode() }}`:             `want an attribute that chat templates need, got encode of str, which is refused`,
	`{{ s.__class__ }}`:            `want an attribute that the sandbox allows, got "__class__"`,
	`{{ d.__class__ }}`:            `want an attribute that the sandbox allows, got "__class__"`,
	`{{ 5[0:1] }}`:                 `want a sequence to slice, got int`,
	`{% set ns = namespace() %}{% for i in l %}{% macro f() %}{{ i }}{% endmacro %}{% set ns.f = f %}{% endfor %}{{ ns.f() }}`: `want i while it has a value, got it behind its loop`,
	`{% block a %}x{% endblock %}`:                      `want a template that stands alone, got the tag block, which is refused`,
	`{% autoescape true %}{{ '<' }}{% endautoescape %}`: `want a template that stands alone, got the tag autoescape, which is refused`,
	`{{ caller }}{{ varargs }}{{ self }}`:               `want a template that stands alone, got one that uses self, which is refused`,
	`{{ namespace }}`:                                   `want a value whose text does not hold where it lies in memory, got function`,
	`{{ {'a':1}|tojson|safe }}{{ ('<'|safe) ~ '<' }}{{ ('<'|safe) == '<' }}{{ ('<'|safe) + '<' }}`: `want operands that + takes, got Markup and str`,
}

func TestTable(t *testing.T) {
	all := readTable(t)
	equal, failed, seen := 0, 0, map[string]bool{}
	families := map[string]int{}
	for _, c := range all.Cases {
		r, err := render("table", c.Template, all.values(t, c.Context), Options{Now: tableNow})
		says, mayRefuse := refused[c.Template]
		switch {
		case mayRefuse:
			seen[c.Template] = true
			if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "table: ") {
				t.Errorf("%q: got %q, error %v, want a refusal that says %q", c.Template, r.Text, err, says)
			}
		case c.Want == nil:
			if err == nil {
				t.Errorf("%q: got %q, want an error", c.Template, r.Text)
			} else if err.(*Error).Bug {
				t.Errorf("%q: %v", c.Template, err)
			}
			failed++
		case err != nil || r.Text != *c.Want:
			t.Errorf("%q:\ngot  %q, error %v\nwant %q", c.Template, r.Text, err, *c.Want)
		default:
			equal++
			families[c.Family]++
		}
	}
	if len(seen) != len(refused) {
		t.Errorf("%d of %d refused templates are in the table", len(seen), len(refused))
	}
	if len(families) < 21 {
		t.Errorf("%d families, want 20 and what is of none", len(families))
	}
	t.Logf("%d cases: %d rendered as jinja2 does, %d fail in both, %d refused", len(all.Cases), equal, failed,
		len(seen))
}
