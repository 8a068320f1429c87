package jinja

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

func repeated(s string, n int) string { return strings.Repeat(s, n) }

// hostile are templates that would take all memory, all time or all of the stack, each
// with the limit that ends it.
var hostile = []struct {
	name, source string
	limit        Limit
}{
	{"loops in loops", `{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}`, LimitSteps},
	{"an expression in a loop", `{% for a in range(100000) %}{{ (range(100000)|list|length) }}{% endfor %}`,
		LimitSteps},
	{"a long loop of expressions", `{% for a in range(100000) %}{% for b in range(1000) %}{{ a is odd and b is even }}{% endfor %}{% endfor %}`, LimitSteps},
	{"a sum in an expression", `{% set l = range(100000)|list %}{% for i in range(100000) %}{% set x = l|sum %}{% endfor %}`, LimitSteps},
	{"a search in an expression", `{% set l = range(100000)|list %}{% for i in range(100000) %}{% set x = 'a' in l %}{% endfor %}`, LimitSteps},
	{"comparisons", `{% set l = [1] * 1000000 %}{% set k = [1] * 1000000 %}{% for i in range(100000) %}{% set x = l == k %}{% endfor %}`, LimitSteps},
	{"a search in a string", `{% set s = 'a' * 10000000 %}{% for i in range(100000) %}{% set x = 'b' in s %}{% endfor %}`, LimitSteps},
	{"the length of a string", `{% set s = 'é' * 10000000 %}{% for i in range(100000) %}{% set x = s|length %}{% endfor %}`, LimitSteps},
	{"a character of a string", `{% set s = 'é' * 10000000 %}{% for i in range(100000) %}{% set x = s[-1] %}{% endfor %}`, LimitSteps},
	{"a string times four milliards", `{{ 'a' * 4000000000 }}`, LimitBytes},
	{"a string times 2**62", `{{ 'aaaaaaaa' * 2**62 }}`, LimitBytes},
	{"four milliards times a string", `{{ 4000000000 * 'a' }}`, LimitBytes},
	{"a list times four milliards", `{{ [1] * 4000000000 }}`, LimitBytes},
	{"a tuple times four milliards", `{{ (1,) * 4000000000 }}`, LimitBytes},
	{"a string doubled", `{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`, LimitBytes},
	{"a string doubled by ~", `{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`, LimitBytes},
	{"a string doubled by set", `{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}`, LimitBytes},
	{"a string doubled by a block", `{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set t %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = t %}{% endfor %}`, LimitBytes},
	{"a list doubled", `{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}`, LimitBytes},
	{"output", `{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s }}{% endfor %}`, LimitBytes},
	{"output of text", `{% for i in range(100000) %}` + repeated("x", 100000) + `{% endfor %}`, LimitBytes},
	{"a captured loop", `{% set s %}{% for i in range(100000) %}` + repeated("x", 10000) + `{% endfor %}{% endset %}`,
		LimitBytes},
	{"a filter block", `{% filter upper %}{% for i in range(100000) %}` + repeated("x", 10000) +
		`{% endfor %}{% endfilter %}`, LimitBytes},
	{"replace", `{{ ('a' * 100000)|replace('a', 'b' * 100000) }}`, LimitBytes},
	{"replace of nothing", `{{ ('a' * 100000).replace('', 'b' * 100000) }}`, LimitBytes},
	{"join", `{{ range(100000)|join('a' * 100000) }}`, LimitBytes},
	{"str.join", `{{ ('a' * 100000).join('b' * 100000) }}`, LimitBytes},
	{"split", `{% set s = 'a ' * 5000000 %}{{ s.split()|length }}`, LimitSteps},
	{"list of a string", `{{ ('a' * 10000000)|list }}`, LimitBytes},
	{"batch", `{{ [1]|batch(4000000000, 0)|list }}`, LimitBytes},
	{"slices", `{{ [1]|slice(4000000000)|list }}`, LimitBytes},
	{"a width", `{{ '%1000000000d' % 1 }}`, LimitWidth},
	{"a width of format", `{{ '{:>99999999}'.format('a') }}`, LimitWidth},
	{"a width from an argument", `{{ '%*d' % (4000000000, 1) }}`, LimitWidth},
	{"a width within a width", `{{ '{:{w}}'.format('a', w=4000000000) }}`, LimitWidth},
	{"a precision", `{{ '%.1000000000f' % 1 }}`, LimitWidth},
	{"many widths", `{{ ('%9999999d' * 20) % (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1) }}`, LimitBytes},
	{"center", `{{ 'a'|center(4000000000) }}`, LimitBytes},
	{"ljust", `{{ 'a'.ljust(4000000000, 'é') }}`, LimitBytes},
	{"zfill", `{{ 'a'.zfill(9223372036854775807) }}`, LimitBytes},
	{"expandtabs", `{{ ('\t' * 1000).expandtabs(4000000000) }}`, LimitBytes},
	{"indent", `{{ ('a\n' * 100000)|indent(100000) }}`, LimitBytes},
	{"indent by itself", `{{ 'a'|indent(4000000000) }}`, LimitBytes},
	{"indent of JSON", `{{ [1]|tojson(indent=4000000000) }}`, LimitBytes},
	{"indent of much JSON", `{{ ([[1]] * 100000)|tojson(indent=100000) }}`, LimitBytes},
	{"JSON of a list of itself", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson }}`, LimitSteps},
	{"text of a list of itself", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}`, LimitSteps},
	{"comparison of lists of themselves", `{% set ns = namespace(l=[1], k=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.k = [ns.k, ns.k] %}{% endfor %}{{ ns.l == ns.k }}`, LimitSteps},
	{"order of lists of themselves", `{% set ns = namespace(l=[1], k=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.k = [ns.k, ns.k] %}{% endfor %}{{ ns.l < ns.k }}`, LimitSteps},
	{"hash of tuples of themselves", `{% set ns = namespace(l=(1,)) %}{% for i in range(60) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {ns.l: 1}|length }}`, LimitBytes},
	{"text of a deep list", `{% set ns = namespace(l=[1]) %}{% for i in range(50000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}`, LimitValues},
	{"JSON of a deep list", `{% set ns = namespace(l=[1]) %}{% for i in range(50000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}`, LimitValues},
	{"join of a deep list", `{% set ns = namespace(l=[1]) %}{% for i in range(50000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|join }}`, LimitValues},
	{"comparison of deep lists", `{% set ns = namespace(l=[1], k=[1]) %}{% for i in range(50000) %}{% set ns.l = [ns.l] %}{% set ns.k = [ns.k] %}{% endfor %}{{ ns.l == ns.k }}`, LimitValues},
	{"order of deep lists", `{% set ns = namespace(l=[1], k=[1]) %}{% for i in range(50000) %}{% set ns.l = [ns.l] %}{% set ns.k = [ns.k] %}{% endfor %}{{ ns.l < ns.k }}`, LimitValues},
	{"hash of a deep tuple", `{% set ns = namespace(l=(1,)) %}{% for i in range(50000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}`, LimitDepth},
	{"a namespace in itself", `{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}`, LimitValues},
	{"a namespace in itself, joined", `{% set ns = namespace() %}{% set ns.a = [ns] %}{{ [ns]|join }}`, LimitValues},
	{"a namespace in itself, by %", `{% set ns = namespace() %}{% set ns.a = ns %}{{ '%s' % (ns,) }}`, LimitValues},
	{"a namespace in itself, by format", `{% set ns = namespace() %}{% set ns.a = ns %}{{ '{}'.format(ns) }}`,
		LimitValues},
	{"a namespace in itself, by ~", `{% set ns = namespace() %}{% set ns.a = ns %}{{ ns ~ '' }}`, LimitValues},
	{"a macro without end", `{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`, LimitDepth},
	{"two macros without end", `{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}`, LimitDepth},
	{"a macro in a default", `{% macro f(x=f()) %}{{ x }}{% endmacro %}{{ f() }}`, LimitDepth},
	{"a caller without end", `{% macro f() %}{{ caller is defined }}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}`, LimitDepth},
	{"a macro by a namespace", `{% set ns = namespace() %}{% macro f() %}{{ ns.f() }}{% endmacro %}{% set ns.f = f %}{{ f() }}`, LimitDepth},
	{"a recursive loop without end", `{% set l = [1] %}{% for i in l recursive %}{{ loop(l) }}{% endfor %}`,
		LimitDepth},
	{"macros that call twice", `{% macro f(n) %}{% if n > 0 %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}`, LimitSteps},
	{"iterators in iterators", `{% set ns = namespace(g=[1]) %}{% for i in range(10000) %}{% set ns.g = ns.g|select %}{% endfor %}{{ ns.g|list }}`, LimitDepth},
	{"mapped iterators", `{% set ns = namespace(g=[1]) %}{% for i in range(10000) %}{% set ns.g = ns.g|map('string') %}{% endfor %}{{ ns.g|list }}`, LimitDepth},
	{"iterators of iterators", `{% set ns = namespace(g=[1]) %}{% for i in range(10000) %}{% set ns.g = ns.g|batch(1) %}{% endfor %}{{ ns.g|list }}`, LimitDepth},
	{"brackets", `{{ ` + repeated("(", 40000) + `1` + repeated(")", 40000) + ` }}`, LimitNesting},
	{"lists", `{{ ` + repeated("[", 40000) + repeated("]", 40000) + ` }}`, LimitNesting},
	{"mappings", `{{ ` + repeated("{1:", 40000) + "1" + repeated("}", 40000) + ` }}`, LimitNesting},
	{"attributes", `{{ messages` + repeated(".a", 40000) + ` }}`, LimitNesting},
	{"items", `{{ messages` + repeated("[0]", 40000) + ` }}`, LimitNesting},
	{"calls", `{{ messages` + repeated("()", 40000) + ` }}`, LimitNesting},
	{"filters", `{{ messages` + repeated("|list", 40000) + ` }}`, LimitNesting},
	{"tests", `{{ 1` + repeated(" is odd", 1) + repeated(" == 1 is odd", 1) + repeated("|list is odd", 20000) + ` }}`,
		LimitNesting},
	{"not", `{{ ` + repeated("not ", 40000) + `1 }}`, LimitNesting},
	{"signs", `{{ ` + repeated("-", 40000) + `1 }}`, LimitNesting},
	{"sums", `{{ 1` + repeated("+1", 40000) + ` }}`, LimitNesting},
	{"powers", `{{ 1` + repeated("**1", 40000) + ` }}`, LimitNesting},
	{"conditions", `{{ 1` + repeated(" if 1 else 1", 20000) + ` }}`, LimitNesting},
	{"ors", `{{ 0` + repeated(" or 0", 40000) + ` }}`, LimitNesting},
	{"targets", `{% set ` + repeated("(", 40000) + `a` + repeated(")", 40000) + ` = 1 %}`, LimitNesting},
	{"ifs", repeated("{% if 1 %}", 10000) + repeated("{% endif %}", 10000), LimitNesting},
	{"fors", repeated("{% for a in a %}", 30) + repeated("{% endfor %}", 30), LimitNesting},
	{"macros in macros", repeated("{% macro a() %}", 5000), LimitNesting},
	{"names in ifs", manyNames(), LimitNesting},
	{"a long template", repeated("{{ 1 }}", MaxSource/7+1), LimitSource},
	{"a large integer", `{{ 9223372036854775807 + 1 }}`, LimitInteger},
	{"a large power", `{{ 2**10**9 }}`, LimitInteger},
	{"a large product", `{{ 4000000000 * 4000000000 }}`, LimitInteger},
	{"a large literal", `{{ 1` + repeated("0", 100000) + ` }}`, LimitInteger},
	{"a large literal as text", `{{ ('1' * 1000000)|int }}`, LimitInteger},
	{"many powers", `{% for i in range(100000) %}{% set x = 1.0000001 ** 2000 %}{% endfor %}`, LimitSteps},
	{"casing", `{% set s = 'ß' * 1000000 %}{% for i in range(100000) %}{% set x = s.upper() %}{% endfor %}`,
		LimitBytes},
	{"sigmas", `{% set s = 'Σ' * 1000000 %}{% for i in range(100000) %}{% set x = s.lower() %}{% endfor %}`,
		LimitSteps},
	{"sort", `{% set l = range(100000)|list %}{% for i in range(100000) %}{% set x = l|sort %}{% endfor %}`,
		LimitSteps},
	{"many keys", `{% for i in range(100000) %}{% set d = {i: i, i+1: i, i+2: i, i+3: i, i+4: i, i+5: i, i+6: i, i+7: i} %}{% endfor %}`, LimitSteps},
	{"many arguments", `{% macro f() %}{{ varargs|length }}{% endmacro %}{{ f(*range(100000)) }}{{ f(*('a' * 10000000)) }}`, LimitBytes},
	{"many macros", `{% for i in range(100000) %}{% macro f(a, b, c, d, e) %}{% endmacro %}{{ f(f, f, f, f, f) }}{{ f(f, f, f, f, f) }}{{ f() }}{{ f() }}{% endfor %}`, LimitSteps},
}

// manyNames has as many names in as many if statements as fit.
func manyNames() string {
	var s strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&s, "{%% if a%d %%}{%% set b%d=1 %%}{%% endif %%}", i, i)
	}
	return s.String()
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// Every hostile template ends by its own limit, and until then has made little: the bound
// is on all bytes that Go allocated, most of which were garbage long before.
func TestHostile(t *testing.T) {
	all := readTable(t)
	values := all.values(t, "chat")
	const most = 200 << 20
	// What ends them is no clock; and fewer steps than the default are soon made.
	limits := Limits{Steps: 1_000_000, Time: time.Hour}
	worst := uint64(0)
	for _, c := range hostile {
		before := allocated()
		_, err := render("hostile", c.source, values, Options{Limits: limits})
		made := allocated() - before
		worst = max(worst, made)
		if made > most {
			t.Errorf("%s: made %d MiB, want at most %d", c.name, made>>20, most>>20)
		}
		e, ok := errors.AsType[*Error](err)
		switch {
		case !ok:
			t.Errorf("%s: got error %v, want the limit of %s", c.name, err, c.limit)
		case e.Bug || e.Limit != c.limit:
			t.Errorf("%s: got %v, want the limit of %s", c.name, err, c.limit)
		case c.limit != LimitNone && !strings.Contains(e.Error(), fmt.Sprintf("limit of %s: want", c.limit)),
			!strings.HasPrefix(e.Error(), "hostile: "),
			c.limit != LimitSource && e.Line == 0 && c.name != "names in ifs":
			t.Errorf("%s: the error %q names no template, line or limit", c.name, e.Error())
		}
	}
	t.Logf("%d templates; the most that one made: %d MiB", len(hostile), worst>>20)
}

// The clock and the context are looked at within an expression too.
func TestTimeAndContext(t *testing.T) {
	const source = "{{ 1 }}\n{% set l = range(100000)|list %}\n{{ l|map('string')|map('int')|map('string')|select('in', 'x')|list }}"
	parsed, err := Parse("slow", source)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parsed.Render(context.Background(), &Dict{}, Options{Limits: Limits{Time: time.Nanosecond}})
	if e, ok := errors.AsType[*Error](err); !ok || e.Limit != LimitTime || !strings.Contains(e.Error(), "slow: line ") {
		t.Errorf("got %v, want the limit of time", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = parsed.Render(ctx, &Dict{}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context ended", err)
	}
}
