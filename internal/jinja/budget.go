package jinja

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Bounds of what is parsed.
const (
	MaxSource    = 256 << 10 // bytes of a template
	maxNesting   = 200       // of expressions; Python allows as many brackets
	maxBlocks    = 90        // statements within one another; Python allows 100
	maxLoops     = 20        // for statements within one another, as in Python
	maxDigits    = 400       // of a number
	maxArguments = 255       // of a call
)

// Limits bound what one rendering may use. The zero value means DefaultLimits.
type Limits struct {
	Steps int64         // of the interpreter; long strings and lists take several
	Bytes int64         // of strings, lists, mappings and output made, all of them together
	Time  time.Duration // by the wall clock
}

// DefaultLimits suit a conversation of a million tokens.
var DefaultLimits = Limits{Steps: 10_000_000, Bytes: 64 << 20, Time: 10 * time.Second}

// Bounds of depth, all of them far below what Go's stack holds.
const (
	maxDepth      = 4000 // expressions and statements under way
	maxCalls      = 100  // macros and recursive loops under way
	maxValueDepth = 100  // values in one another, where they are written or compared
)

// Limit names a bound.
type Limit string

// What a template can exceed.
const (
	LimitNone    Limit = ""
	LimitSource  Limit = "size"
	LimitNesting Limit = "nesting"
	LimitSteps   Limit = "steps"
	LimitBytes   Limit = "bytes"
	LimitTime    Limit = "time"
	LimitDepth   Limit = "calls"
	LimitValues  Limit = "nested values"
	LimitInteger Limit = "integers"
	LimitWidth   Limit = "widths"
)

// Error is why a template was not parsed or rendered.
type Error struct {
	Name    string // of the template
	Line    int    // from 1; 0 where it is about no line
	Limit   Limit  // that was exceeded, or LimitNone
	Message string
	Refusal bool  // raise_exception was called; Message is the template's own
	Bug     bool  // of this package
	Cause   error // the context's, or nil
}

func (e *Error) Error() string {
	text := e.Message
	if e.Refusal {
		text = "the template refuses the messages: " + text
	}
	if e.Line > 0 {
		text = fmt.Sprintf("line %d: %s", e.Line, text)
	}
	if e.Name != "" {
		text = e.Name + ": " + text
	}
	return text
}

// Unwrap gives the context's error, if that ended the rendering.
func (e *Error) Unwrap() error { return e.Cause }

// budget is what is left of the limits. What exceeds them panics with an *Error, as do all
// failures within this package; Parse and Render recover it.
type budget struct {
	ctx      context.Context
	limits   Limits
	steps    int64 // left
	bytes    int64 // left
	look     int64 // steps left at which the clock is looked at next
	deadline time.Time
	depth    int
	calls    int
	line     int // under way
}

const lookEvery = 2048 // steps between two looks at the clock

func newBudget(ctx context.Context, l Limits) budget {
	if l.Steps <= 0 {
		l.Steps = DefaultLimits.Steps
	}
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	if l.Time <= 0 {
		l.Time = DefaultLimits.Time
	}
	return budget{ctx: ctx, limits: l, steps: l.Steps, bytes: l.Bytes, look: l.Steps,
		deadline: time.Now().Add(l.Time), line: 1}
}

func (b *budget) exceed(l Limit, format string, args ...any) {
	panic(&Error{Line: b.line, Limit: l, Message: fmt.Sprintf("limit of %s: ", l) + fmt.Sprintf(format, args...)})
}

func (b *budget) fail(format string, args ...any) {
	panic(&Error{Line: b.line, Message: fmt.Sprintf(format, args...)})
}

// step takes n steps.
func (b *budget) step(n int) {
	b.steps -= int64(n)
	if b.steps < 0 {
		b.exceed(LimitSteps, "want at most %d, got more", b.limits.Steps)
	}
	if b.steps <= b.look {
		b.look = b.steps - lookEvery
		if err := b.ctx.Err(); err != nil {
			panic(&Error{Line: b.line, Message: err.Error(), Cause: err})
		}
		if time.Now().After(b.deadline) {
			b.exceed(LimitTime, "want an end within %v, got none", b.limits.Time)
		}
	}
}

// spend takes n bytes, before they are made, and the steps to make them.
func (b *budget) spend(n int) {
	if b.bytes -= int64(n); b.bytes < 0 {
		b.exceed(LimitBytes, "want at most %d in all, got more", b.limits.Bytes)
	}
	b.step(1 + n>>8)
}

// scan takes the steps to look at n bytes.
func (b *budget) scan(n int) { b.step(1 + n>>6) }

// Sizes of what Go makes, in bytes.
const (
	sizeBox   = 16 // a string's or number's place on the heap
	sizeItem  = 16 // a value in a list
	sizeEntry = 96 // an entry of a mapping, with its index
	sizeThing = 64 // a list, a mapping, an iterator
)

// product is a times b where that is a size, else the largest int.
func product(a, b int) int {
	if a <= 0 || b <= 0 {
		return 0
	}
	if a > math.MaxInt/b {
		return math.MaxInt
	}
	return a * b
}

// sum is a plus b where that is a size, else the largest int.
func sum(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

// enter counts one more expression or statement under way; leave takes it back. Errors
// need no leave: nothing goes on behind them.
func (b *budget) enter() {
	if b.depth++; b.depth > maxDepth {
		b.exceed(LimitDepth, "want at most %d expressions and statements under way, got more", maxDepth)
	}
}

func (b *budget) leave() { b.depth-- }

func (b *budget) enterCall() {
	if b.calls++; b.calls > maxCalls {
		b.exceed(LimitDepth, "want at most %d macros and recursive loops under way, got more", maxCalls)
	}
}

func (b *budget) leaveCall() { b.calls-- }
