package ops

import (
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

func TestMistakesNameTheOperationAndTheShapes(t *testing.T) {
	d := testdevice.CPU(t, 1)
	f := func(shape ...int) *Var { return autograd.Const(d.New(tensor.F32, shape...)) }
	ids := func(shape ...int) *Var { return autograd.Const(d.New(tensor.I32, shape...)) }
	for _, c := range []struct {
		name string
		call func()
		want string // parts of the message, separated by |
	}{
		{"sub", func() { Sub(f(2, 3), f(2)) }, "sub|f32[2 3]|f32[2]"},
		{"div", func() { Div(f(3), f(2, 3)) }, "div|f32[3]|f32[2 3]"},
		{"sum of a missing dimension", func() { Sum(f(2, 3), 2) }, "sum|dimension 2|f32[2 3]"},
		{"mean over two", func() { Mean(f(2, 3), 0, 1) }, "mean|[0 1]"},
		{"max", func() { Max(f(2), -2) }, "max|dimension -2"},
		{"argmax", func() { ArgMax(f(2), 1) }, "argmax|dimension 1"},
		{"reshape", func() { Reshape(f(2, 3), 4, -1) }, "reshape|f32[2 3]|[4 -1]"},
		{"expand a size above 1", func() { Expand(f(2, 3), 4, 3) }, "expand|f32[2 3]|[4 3]|dimension 0 is 2"},
		{"expand to fewer", func() { Expand(f(1, 3), 3) }, "expand|f32[1 3]|[3]"},
		{"expand in front by -1", func() { Expand(f(3), -1, 3) }, "expand|[-1 3]"},
		{"permute twice the same", func() { Permute(f(2, 3), 0, 0) }, "permute|[0 0]|f32[2 3]"},
		{"permute too few", func() { Permute(f(2, 3), 1) }, "permute|[1]"},
		{"transpose", func() { Transpose(f(2, 3), 0, 2) }, "transpose|dimension 2"},
		{"concat of nothing", func() { Concat(0) }, "concat"},
		{"concat", func() { Concat(0, f(2, 3), f(2, 4)) }, "concat|f32[2 3]|f32[2 4]"},
		{"concat of ranks", func() { Concat(0, f(2, 3), f(2)) }, "concat|f32[2 3]|f32[2]"},
		{"slice past the end", func() { Slice(f(2, 3), 1, 2, 4) }, "slice|[2, 4)|f32[2 3]"},
		{"empty slice", func() { Slice(f(2, 3), 1, 2, 2) }, "slice|[2, 2)"},
		{"layer norm", func() { LayerNorm(f(2, 3), f(3), f(2), 1e-5) }, "layer_norm|f32[2]|f32[2 3]|[3]"},
		{"swiglu", func() { SwiGLU(f(2, 3), f(3, 2)) }, "swiglu|f32[2 3]|f32[3 2]"},
		{"mse", func() { MSE(f(2, 3), f(3)) }, "mse|f32[2 3]|f32[3]"},
		{"labels of another shape", func() { CrossEntropy(f(2, 3), ids(3), 1) }, "cross_entropy|i32[3]|f32[2 3]"},
		{"labels that are floats", func() { CrossEntropy(f(2, 3), f(2), 1) }, "cross_entropy|f32[2]|i32"},
		{"nothing counted", func() { CrossEntropy(f(2, 3), ids(2), 0) }, "cross_entropy|0 counted"},
		{"dropout of everything", func() { Dropout(f(2), 1) }, "dropout|probability 1"},
		{"embedding of floats", func() { Embedding(f(5, 2), f(3)) }, "embedding|f32[3]|i32"},
		{"embedding from a vector", func() { Embedding(f(5), ids(3)) }, "embedding|f32[5]|[vocab, dim]"},
		{"cast to integers", func() { Cast(f(2), tensor.I32) }, "cast|f32[2]|i32"},
	} {
		err := tensor.Catch(c.call)
		if err == nil {
			t.Errorf("%s: no panic", c.name)
			continue
		}
		for _, part := range strings.Split(c.want, "|") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not name %q", c.name, err, part)
			}
		}
	}
}

func TestResultsHaveTheExpectedShapes(t *testing.T) {
	d := testdevice.CPU(t, 1)
	x := autograd.Const(d.New(tensor.BF16, 2, 1, 3))
	y := autograd.Const(d.New(tensor.BF16, 2, 1, 3))
	maxima, index := Max(x, 0)
	for _, c := range []struct {
		name  string
		got   *Var
		dt    tensor.DType
		shape []int
	}{
		{"sum of all", Sum(x), tensor.BF16, nil},
		{"mean of the last", Mean(x, -1), tensor.BF16, []int{2, 1}},
		{"max", maxima, tensor.BF16, []int{1, 3}},
		{"its index", index, tensor.I32, []int{1, 3}},
		{"argmax of all", ArgMax(x), tensor.I32, nil},
		{"expand", Expand(x, 4, -1, 5, -1), tensor.BF16, []int{4, 2, 5, 3}},
		{"permute", Permute(x, 2, 0, 1), tensor.BF16, []int{3, 2, 1}},
		{"concat", Concat(1, x, y), tensor.BF16, []int{2, 2, 3}},
		{"slice", Slice(x, -1, 1, 3), tensor.BF16, []int{2, 1, 2}},
		{"mse is f32", MSE(x, y), tensor.F32, nil},
	} {
		if got := c.got.Tensor(); got.DType() != c.dt || !slices.Equal(got.Shape(), c.shape) {
			t.Errorf("%s: %s, want %s%v", c.name, got, c.dt, c.shape)
		}
	}
}

// What is only another view of x must not be copied.
func TestViewsShareMemory(t *testing.T) {
	d := testdevice.CPU(t, 1)
	x := autograd.Const(d.New(tensor.F32, 4, 1, 3))
	for name, y := range map[string]*Var{
		"reshape":                    Reshape(x, 12),
		"slice of rows":              Slice(x, 0, 1, 3),
		"permute of ones":            Permute(x, 1, 0, 2),
		"dropout without a tape":     Dropout(x, 0.5),
		"cast to its own dtype":      Cast(x, tensor.F32),
		"expand to the same":         Expand(x, 4, 1, 3),
		"expand by ones only":        Expand(x, 1, 1, 4, 1, 3),
		"a row of one row and so on": Slice(Slice(x, 0, 2, 3), 2, 0, 2),
	} {
		if y.Tensor().Memory() != x.Tensor().Memory() {
			t.Errorf("%s copies", name)
		}
	}
}
