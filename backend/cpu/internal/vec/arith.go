package vec

// Add sets dst[i] = a[i] + b[i].
func Add(dst, a, b []float32) {
	same("Add", len(dst), len(a), len(b))
	add(dst, a, b)
}

func addGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// Sub sets dst[i] = a[i] - b[i].
func Sub(dst, a, b []float32) {
	same("Sub", len(dst), len(a), len(b))
	sub(dst, a, b)
}

func subGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

// Mul sets dst[i] = a[i] * b[i].
func Mul(dst, a, b []float32) {
	same("Mul", len(dst), len(a), len(b))
	mul(dst, a, b)
}

func mulGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// Div sets dst[i] = a[i] / b[i].
func Div(dst, a, b []float32) {
	same("Div", len(dst), len(a), len(b))
	div(dst, a, b)
}

func divGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / b[i]
	}
}

// Scale sets dst[i] = alpha * x[i].
func Scale(dst, x []float32, alpha float32) {
	same("Scale", len(dst), len(x))
	scale(dst, x, alpha)
}

func scaleGo(dst, x []float32, alpha float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = alpha * x[i]
	}
}

// Affine sets dst[i] = alpha*x[i] + beta.
func Affine(dst, x []float32, alpha, beta float32) {
	same("Affine", len(dst), len(x))
	affine(dst, x, alpha, beta)
}

func affineGo(dst, x []float32, alpha, beta float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = alpha*x[i] + beta
	}
}

// Axpy adds alpha*x[i] to dst[i].
func Axpy(dst, x []float32, alpha float32) {
	same("Axpy", len(dst), len(x))
	axpy(dst, x, alpha)
}

func axpyGo(dst, x []float32, alpha float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += alpha * x[i]
	}
}

// MulAdd adds alpha*a[i]*b[i] to dst[i]: one row of the gradient of a norm's
// weight, where a is the gradient, b the input and alpha the row's rstd.
func MulAdd(dst, a, b []float32, alpha float32) {
	same("MulAdd", len(dst), len(a), len(b))
	mulAdd(dst, a, b, alpha)
}

func mulAddGo(dst, a, b []float32, alpha float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] += a[i] * (b[i] * alpha)
	}
}
