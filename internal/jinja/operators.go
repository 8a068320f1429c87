package jinja

import (
	"math"
	"math/big"
	"math/bits"
	"strings"
)

// Python's arithmetic, on integers of 64 bits. What does not fit is an error, for Python
// has integers of any size.

func (m *machine) tooLarge() {
	m.exceed(LimitInteger, "want 64 bits, got more")
}

func (m *machine) sign(minus bool, v Value) Value {
	m.defined(v)
	if f, ok := v.(float64); ok {
		if minus {
			return m.float(-f)
		}
		return v
	}
	i, ok := asInteger(v)
	if !ok {
		m.fail("want a number behind the sign, got %s", typeName(v))
	}
	if minus {
		if i == math.MinInt64 {
			m.tooLarge()
		}
		i = -i
	}
	return m.integer(i)
}

func asFloat(v Value) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	i, ok := asInteger(v)
	return float64(i), ok
}

func (m *machine) binary(op string, a, b Value) Value {
	if s, ok := a.(string); ok && op == "%" {
		return m.percent(s, b)
	}
	m.defined(a, b)
	i, aInt := asInteger(a)
	j, bInt := asInteger(b)
	if aInt && bInt {
		return m.integers(op, i, j)
	}
	x, aNumber := asFloat(a)
	y, bNumber := asFloat(b)
	if aNumber && bNumber {
		return m.floats(op, x, y)
	}
	switch op {
	case "+":
		switch a := a.(type) {
		case string:
			if b, ok := b.(string); ok {
				m.spend(sizeBox + sum(len(a), len(b)))
				return a + b
			}
		case *List:
			if b, ok := b.(*List); ok {
				items := m.newItems(sum(len(a.Items), len(b.Items)))
				return &List{append(append(items, a.Items...), b.Items...)}
			}
		case *Tuple:
			if b, ok := b.(*Tuple); ok {
				items := m.newItems(sum(len(a.Items), len(b.Items)))
				return &Tuple{Items: append(append(items, a.Items...), b.Items...)}
			}
		}
	case "*":
		if aInt {
			a, j, bInt = b, i, true
		}
		if bInt {
			n := int(max(j, 0))
			switch a := a.(type) {
			case string:
				m.spend(sum(sizeBox, product(len(a), n)))
				if a == "" {
					return ""
				}
				return strings.Repeat(a, n)
			case *List:
				return &List{m.repeat(a.Items, n)}
			case *Tuple:
				return &Tuple{Items: m.repeat(a.Items, n)}
			}
		}
	}
	m.fail("want operands that %s takes, got %s and %s", op, typeName(a), typeName(b))
	return nil
}

func (m *machine) repeat(items []Value, n int) []Value {
	if len(items) == 0 {
		return nil
	}
	out := m.newItems(product(len(items), n))
	for range n {
		out = append(out, items...)
	}
	return out
}

func (m *machine) integers(op string, a, b int64) Value {
	switch op {
	case "+":
		c := a + b
		if (c > a) != (b > 0) && b != 0 {
			m.tooLarge()
		}
		return m.integer(c)
	case "-":
		c := a - b
		if (c < a) != (b > 0) && b != 0 {
			m.tooLarge()
		}
		return m.integer(c)
	case "*":
		return m.integer(m.times(a, b))
	case "**":
		if b < 0 {
			return m.power(float64(a), float64(b))
		}
		return m.integer(m.integerPower(a, b))
	}
	if b == 0 {
		m.fail("division by zero")
	}
	switch op {
	case "/":
		return m.float(quotient(a, b))
	case "//":
		if a == math.MinInt64 && b == -1 {
			m.tooLarge()
		}
		q := a / b
		if a%b != 0 && (a < 0) != (b < 0) {
			q--
		}
		return m.integer(q)
	}
	if b == -1 {
		return int64(0)
	}
	r := a % b
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return m.integer(r)
}

// times is a product of 64 bits.
func (m *machine) times(a, b int64) int64 {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	switch {
	case hi != 0 || lo > 1<<63 || lo == 1<<63 && !negative:
		m.tooLarge()
	case negative:
		return -int64(lo)
	}
	return int64(lo)
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

func (m *machine) integerPower(a, b int64) int64 {
	switch {
	case b == 0 || a == 1:
		return 1
	case a == 0:
		return 0
	case a == -1:
		return 1 - 2*(b&1)
	case b > 63:
		m.tooLarge()
	}
	c := int64(1)
	for range b {
		c = m.times(c, a)
	}
	return c
}

// quotient is a / b, rounded once.
func quotient(a, b int64) float64 {
	if magnitude(a) < 1<<53 && magnitude(b) < 1<<53 {
		return float64(a) / float64(b)
	}
	f, _ := new(big.Rat).SetFrac(big.NewInt(a), big.NewInt(b)).Float64()
	return f
}

func (m *machine) floats(op string, a, b float64) Value {
	switch op {
	case "+":
		return m.float(a + b)
	case "-":
		return m.float(a - b)
	case "*":
		return m.float(a * b)
	case "**":
		return m.power(a, b)
	}
	if b == 0 {
		m.fail("division by zero")
	}
	if op == "/" {
		return m.float(a / b)
	}
	quotient, remainder := floatDivMod(a, b)
	if op == "//" {
		return m.float(quotient)
	}
	return m.float(remainder)
}

// floatDivMod is Python's: the remainder has the divisor's sign.
func floatDivMod(a, b float64) (quotient, remainder float64) {
	remainder = math.Mod(a, b)
	div := (a - remainder) / b
	if remainder != 0 {
		if (b < 0) != (remainder < 0) {
			remainder += b
			div--
		}
	} else {
		remainder = math.Copysign(0, b)
	}
	if div == 0 {
		return math.Copysign(0, a/b), remainder
	}
	quotient = math.Floor(div)
	if div-quotient > 0.5 {
		quotient++
	}
	return quotient, remainder
}

// power is a**b for numbers with a fraction. Whole exponents are computed exactly and
// rounded once, as good C libraries do; of others only roots are known to be the same
// everywhere.
func (m *machine) power(a, b float64) Value {
	switch {
	case b == 0 || a == 1:
		return m.float(1)
	case math.IsNaN(a) || math.IsNaN(b) || math.IsInf(a, 0) || math.IsInf(b, 0):
		m.fail("want finite numbers to raise, got %v and %v", a, b)
	case a == 0 && b < 0:
		m.fail("0.0 cannot be raised to a negative power")
	case a == 0:
		return m.float(math.Pow(a, b))
	case b == 0.5 && a > 0:
		return m.float(math.Sqrt(a))
	case b != math.Trunc(b) || math.Abs(b) > 2048:
		m.fail("want a whole number or 0.5 as exponent, up to 2048, got %v", b)
	}
	const precision = 2200
	x := new(big.Float).SetPrec(precision).SetFloat64(a)
	c := new(big.Float).SetPrec(precision).SetInt64(1)
	for n := int(math.Abs(b)); n > 0; n >>= 1 {
		m.step(200)
		m.spend(2 * precision / 8)
		if n&1 == 1 {
			c.Mul(c, x)
		}
		x.Mul(x, x)
	}
	if b < 0 {
		c.Quo(new(big.Float).SetPrec(precision).SetInt64(1), c)
	}
	f, _ := c.Float64()
	if math.IsInf(f, 0) {
		m.fail("a number is too large for a float64")
	}
	return m.float(f)
}

// compare is one comparison: == != < <= > >= in, not in.
func (m *machine) compare(op string, a, b Value) bool {
	m.step(1)
	switch op {
	case "==":
		return m.equal(a, b)
	case "!=":
		return !m.equal(a, b)
	case "in":
		return m.contains(b, a)
	case "not in":
		return !m.contains(b, a)
	}
	return m.ordered(op, a, b)
}

// equal is Python's ==.
func (m *machine) equal(a, b Value) bool { return m.equalAt(a, b, 0) }

func (m *machine) equalAt(a, b Value, depth int) bool {
	m.step(1)
	if depth > maxValueDepth {
		m.exceed(LimitValues, "want at most %d values in one another, got more", maxValueDepth)
	}
	if i, ok := asInteger(a); ok {
		switch b := b.(type) {
		case float64:
			return compareNumbers(i, b) == 0
		default:
			j, ok := asInteger(b)
			return ok && i == j
		}
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case float64:
		switch b := b.(type) {
		case float64:
			return a == b
		default:
			j, ok := asInteger(b)
			return ok && compareNumbers(j, a) == 0
		}
	case string, markup:
		s, _ := asString(a)
		t, ok := asString(b)
		m.scan(min(len(s), len(t)))
		if ok {
			m.asOriginal("==", s, t, yes(func(s, t string) bool { return s == t }))
		}
		return ok && s == t
	case *List:
		b, ok := b.(*List)
		return ok && m.equalItems(a.Items, b.Items, depth)
	case *Tuple:
		b, ok := b.(*Tuple)
		return ok && m.equalItems(a.Items, b.Items, depth)
	case *Dict:
		b, ok := b.(*Dict)
		if !ok || a.Len() != b.Len() {
			return false
		}
		for _, e := range a.Entries() {
			v, ok := b.at(m.mustHash(e.Key))
			if !ok || !m.same(e.Value, v) && !m.equalAt(e.Value, v, depth+1) {
				return false
			}
		}
		return true
	case *undefined:
		_, ok := b.(*undefined)
		return ok
	case *span:
		b, ok := b.(*span)
		return ok && a.n == b.n && (a.n == 0 || a.from == b.from && (a.n == 1 || a.by == b.by))
	case *view:
		if b, ok := b.(*view); ok && a != b {
			m.fail("want no views of mappings to compare, got dict_%s and dict_%s", a.kind, b.kind)
		}
	case *method:
		if _, ok := b.(*method); ok {
			m.fail("want no methods to compare, got two")
		}
	}
	return a == b
}

func (m *machine) equalItems(a, b []Value, depth int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !m.same(a[i], b[i]) && !m.equalAt(a[i], b[i], depth+1) {
			return false
		}
	}
	return true
}

// same tells whether two values are surely one object, which Python's lists take for equal.
func (m *machine) same(a, b Value) bool {
	switch a := a.(type) {
	case float64:
		if b, ok := b.(float64); ok && math.IsNaN(a) && math.IsNaN(b) {
			m.fail("want no nan in a list that is compared, got it")
		}
		return false
	case *List, *Dict, *namespace, *Tuple:
		return a == b
	}
	return false
}

// compareNumbers compares an integer and a float exactly; 2 where there is no order.
func compareNumbers(i int64, f float64) int {
	switch {
	case math.IsNaN(f):
		return 2
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := math.Floor(f)
	switch j := int64(whole); {
	case i < j:
		return -1
	case i > j:
		return 1
	case f > whole:
		return -1
	}
	return 0
}

// ordered is Python's < <= > >=.
func (m *machine) ordered(op string, a, b Value) bool {
	c := m.order(op, a, b, 0)
	switch op {
	case "<":
		return c == -1
	case "<=":
		return c == -1 || c == 0
	case ">":
		return c == 1
	}
	return c == 1 || c == 0
}

// order is -1, 0 or 1, and 2 where a nan has no order.
func (m *machine) order(op string, a, b Value, depth int) int {
	m.step(1)
	if depth > maxValueDepth {
		m.exceed(LimitValues, "want at most %d values in one another, got more", maxValueDepth)
	}
	m.defined(a, b)
	i, aInt := asInteger(a)
	j, bInt := asInteger(b)
	x, aFloat := a.(float64)
	y, bFloat := b.(float64)
	switch {
	case aInt && bInt:
		return cmpOrdered(i, j)
	case aInt && bFloat:
		return compareNumbers(i, y)
	case aFloat && bInt:
		if c := compareNumbers(j, x); c != 2 {
			return -c
		}
		return 2
	case aFloat && bFloat:
		if math.IsNaN(x) || math.IsNaN(y) {
			return 2
		}
		return cmpOrdered(x, y)
	}
	if s, ok := asString(a); ok {
		if t, ok := asString(b); ok {
			m.scan(min(len(s), len(t)))
			return strings.Compare(s, t) // UTF-8 is in the order of code points
		}
	}
	if s, ok := a.(*List); ok {
		if t, ok := b.(*List); ok {
			return m.orderItems(op, s.Items, t.Items, depth)
		}
	}
	if s, ok := a.(*Tuple); ok {
		if t, ok := b.(*Tuple); ok {
			return m.orderItems(op, s.Items, t.Items, depth)
		}
	}
	m.fail("want values that %s can compare, got %s and %s", op, typeName(a), typeName(b))
	return 0
}

func (m *machine) orderItems(op string, a, b []Value, depth int) int {
	for i := range min(len(a), len(b)) {
		if !m.same(a[i], b[i]) && !m.equalAt(a[i], b[i], depth+1) {
			return m.order(op, a[i], b[i], depth+1)
		}
	}
	return cmpOrdered(len(a), len(b))
}

func cmpOrdered[T int | int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// contains is Python's v in c.
func (m *machine) contains(c, v Value) bool {
	switch c := c.(type) {
	case string, markup:
		s, _ := asString(c)
		part, ok := asString(v)
		if !ok {
			m.defined(v)
			m.fail("want a string to look for in a string, got %s", typeName(v))
		}
		m.scan(len(s) + len(part))
		m.asOriginal("in", s, part, yes(strings.Contains))
		return strings.Contains(s, part)
	case *Dict:
		_, ok := c.at(m.mustHash(v))
		return ok
	case *view:
		if c.kind == "keys" {
			_, ok := c.dict.at(m.mustHash(v))
			return ok
		}
	}
	it := m.mustIterate(c)
	for {
		i, ok := it.next()
		if !ok {
			return false
		}
		if m.same(i, v) || m.equal(i, v) {
			return true
		}
	}
}
