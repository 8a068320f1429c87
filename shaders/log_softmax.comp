// LogSoftmax is the logarithm of Softmax, without its underflow.
//
//	y[r,j] = x[r,j] - log of the sum over j of exp(x[r,j])
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/activation.glsl"
#include "include/each.glsl"
#include "include/reduce.glsl"
#include "include/exponentials.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, y) // [rows, dim]
IN(1, T, x)  // [rows, dim]

void exponentials(bool fours, uint at) {
	ROW4(j) if (fours) add_exp4(x_four(at + j)); else add_exp(x(at + j));
}

void logarithms(bool fours, uint at, float total) {
	ROW4(j) SET4(y, at + j, GET4(x, at + j) - largest - total)
}

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	bool fours = ROW_IN_FOURS;
	if (fours) exponentials(true, at);
	else exponentials(false, at);
	join_exp();
	float total = natural_log(sum);
	if (fours) logarithms(true, at, total);
	else logarithms(false, at, total);
}
