package jinja

// node is what all nodes have. Depth counts the expressions within this one.
type node struct{ line, depth int }

func (n *node) at() *node { return n }

type expression interface{ at() *node }

type (
	constant struct {
		node
		value Value
	}
	nameRef struct { // a variable that is read
		node
		name  string
		ref   reference
		bound bool // an argument or a loop's own, which has a value while that is under way
	}
	target struct { // one that is assigned
		node
		name string
		ref  reference
	}
	attrTarget struct { // an attribute of a namespace that is assigned
		node
		name, attr string
		ref        reference
	}
	tupleExpr struct {
		node
		items []expression
	}
	listExpr struct {
		node
		items []expression
	}
	dictExpr struct {
		node
		keys, values []expression
	}
	condExpr struct {
		node
		test, yes, no expression // no may be nil
	}
	logicExpr struct { // and, or
		node
		and         bool
		left, right expression
	}
	notExpr struct {
		node
		inner expression
	}
	signExpr struct {
		node
		minus bool
		inner expression
	}
	binaryExpr struct {
		node
		op          string
		left, right expression
	}
	concatExpr struct {
		node
		items []expression
	}
	compareExpr struct {
		node
		first expression
		ops   []string
		rest  []expression
	}
	attrExpr struct {
		node
		inner expression
		name  string
	}
	itemExpr struct {
		node
		inner, index expression
	}
	sliceExpr struct { // only within an itemExpr; each may be nil
		node
		from, to, step expression
	}
	callExpr struct {
		node
		callee expression
		args   arguments
		caller *macroBody // of a call block
	}
	filterExpr struct {
		node
		inner expression // nil: what the block wrote
		name  string
		args  arguments
		soft  bool // an unknown name fails when it is reached
	}
	testExpr struct {
		node
		inner expression
		name  string
		args  arguments
		soft  bool
	}
)

// arguments of a call. Rest and options are what stands behind * and **, or nil.
type arguments struct {
	list          []expression
	names         []string
	named         []expression
	rest, options expression
}

func (a *arguments) each(visit func(expression)) {
	for _, e := range a.list {
		visit(e)
	}
	for _, e := range a.named {
		visit(e)
	}
	if a.rest != nil {
		visit(a.rest)
	}
	if a.options != nil {
		visit(a.options)
	}
}

type statement interface{ at() *node }

type (
	output struct {
		node
		items []expression // text is a constant with raw set in texts
	}
	ifStmt struct {
		node
		test expression
		body []statement
		elif []*ifStmt
		els  []statement
	}
	forStmt struct {
		node
		target    expression
		iter      expression
		test      expression // or nil
		body, els []statement
		recursive bool

		extended  bool // loop is used
		loopRef   reference
		testCode  *code // of the filter, a function of its own
		testLoads []load
		testTo    expression // target, within the filter
		own       *code      // of a recursive loop
		loads     []load
		elseLoads []load
	}
	setStmt struct {
		node
		target expression
		value  expression
	}
	setBlock struct {
		node
		target expression
		filter expression // or nil
		body   []statement
		loads  []load
	}
	macroStmt struct {
		node
		name string
		ref  reference
		body *macroBody
	}
	callBlock struct {
		node
		call *callExpr
		body *macroBody
	}
	filterBlock struct {
		node
		filter expression
		body   []statement
		loads  []load
	}
	withStmt struct {
		node
		targets []expression
		values  []expression
		body    []statement
		loads   []load
	}
	generation struct {
		node
		body *macroBody
	}
	breakStmt    struct{ node }
	continueStmt struct{ node }
)

// macroBody is a macro, or what a call block hands to one.
type macroBody struct {
	line     int
	name     string // "" of a call block
	args     []*target
	defaults []expression // of the last args
	body     []statement

	code            *code
	loads           []load
	caller, kw, rst reference // of caller, kwargs and varargs, where used
	usesCaller      bool
	usesKwargs      bool
	usesVarargs     bool
}

// expressions visits what stands directly within e, in jinja2's order.
func within(e expression, visit func(expression)) {
	opt := func(e expression) {
		if e != nil {
			visit(e)
		}
	}
	all := func(list []expression) {
		for _, e := range list {
			visit(e)
		}
	}
	switch e := e.(type) {
	case *tupleExpr:
		all(e.items)
	case *listExpr:
		all(e.items)
	case *dictExpr:
		for i, k := range e.keys {
			visit(k)
			visit(e.values[i])
		}
	case *condExpr:
		visit(e.test)
		visit(e.yes)
		opt(e.no)
	case *logicExpr:
		visit(e.left)
		visit(e.right)
	case *notExpr:
		visit(e.inner)
	case *signExpr:
		visit(e.inner)
	case *binaryExpr:
		visit(e.left)
		visit(e.right)
	case *concatExpr:
		all(e.items)
	case *compareExpr:
		visit(e.first)
		all(e.rest)
	case *attrExpr:
		visit(e.inner)
	case *itemExpr:
		visit(e.inner)
		visit(e.index)
	case *sliceExpr:
		opt(e.from)
		opt(e.to)
		opt(e.step)
	case *callExpr:
		visit(e.callee)
		e.args.each(visit)
	case *filterExpr:
		opt(e.inner)
		e.args.each(visit)
	case *testExpr:
		visit(e.inner)
		e.args.each(visit)
	}
}
