// LogSoftmaxGrad is the gradient of LogSoftmax.
//
//	dx[r,j] = dy[r,j] - exp(y[r,j]) * sum over j of dy[r,j]
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
IN(2, T, y)   // [rows, dim]: LogSoftmax's output

float total_of(bool fours, uint at) {
	float sum = 0;
	ROW4(j) sum += dot(GET4(dy, at + j), vec4(1));
	return sum;
}

void gradient(bool fours, uint at, float total) {
	ROW4(j) SET4(dx, at + j, GET4(dy, at + j) - exp(GET4(y, at + j)) * total)
}

// A workgroup a row.
void main() {
	uint row = group_index(), at = row * dim;
	if (row >= rows) return;
	bool fours = ROW_IN_FOURS;
	float total = group_sum(fours ? total_of(true, at) : total_of(false, at));
	if (fours) gradient(true, at, total);
	else gradient(false, at, total);
}
