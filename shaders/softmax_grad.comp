// SoftmaxGrad is the gradient of Softmax.
//
//	dx[r,j] = y[r,j] * (dy[r,j] - sum over j of dy[r,j]*y[r,j])
//
//grid rows
//tile group=64

#include "include/kernel.glsl"
#include "include/each.glsl"
#include "include/reduce.glsl"

PUSH(
	uint rows; // rows
	uint dim;  // elements of a row
)
OUT(0, T, dx) // [rows, dim]
IN(1, T, dy)  // [rows, dim]
IN(2, T, y)   // [rows, dim]: Softmax's output

float products(bool fours, uint at) {
	float sum = 0;
	ROW4(j) sum += dot(GET4(dy, at + j), GET4(y, at + j));
	return sum;
}

void gradient(bool fours, uint at, float product) {
	ROW4(j) SET4(dx, at + j, GET4(y, at + j) * (GET4(dy, at + j) - product))
}

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	bool fours = ROW_IN_FOURS;
	float product = group_sum(fours ? products(true, at) : products(false, at));
	if (fours) gradient(true, at, product);
	else gradient(false, at, product);
}
