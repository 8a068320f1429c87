// Div divides a by b element by element, b repeated along the leading dimensions of a.
//
//	y[i] = a[i] / b[i % m]
//
//grid n/block
//tile group=64 block=256

#include "include/kernel.glsl"
#include "include/each.glsl"

PUSH(
	uint n; // elements of a and y
	uint m; // elements of b, a divisor of n
)
OUT(0, T, y) // [n] may be a
IN(1, T, a)  // [n]
IN(2, U, b)  // [m]

void elements(bool fours, bool repeats) {
	EACH4(i) SET4(y, i, GET4(a, i) / REPEAT4(b, i, m))
}

void main() {
	if (!REPEAT_IN_FOURS(m)) elements(false, true);
	else if (m < n) elements(true, true);
	else elements(true, false);
}
