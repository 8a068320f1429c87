// Compare asks of every element of a whether it has a relation to that of b, b repeated along the
// leading dimensions of a. Both are floats, or both are indices. NaN has no relation but NotEqual.
//
//	mask[i] = 1 if a[i] relation b[i % m], else 0
//
//grid n/group
//tile group=64

#include "include/kernel.glsl"
#include "include/relation.glsl"

PUSH(
	uint n; // elements of a and mask
	uint m; // elements of b, a divisor of n
)
CONST(0, Relation, relation) // what is asked
OUT(0, I, mask)      // [n]
OPT_IN(1, T, a)      // [n]
OPT_IN(2, U, b)      // [m]
OPT_IN(3, I, index_a) // [n]: in place of a
OPT_IN(4, I, index_b) // [m]: in place of b

bool holds(bool less, bool equal, bool unordered) {
	switch (relation) {
	case RelationEqual: return equal && !unordered;
	case RelationNotEqual: return !equal || unordered;
	case RelationLess: return less && !unordered;
	case RelationLessEqual: return (less || equal) && !unordered;
	case RelationGreater: return !less && !equal && !unordered;
	default: return !less && !unordered;
	}
}

void main() {
	uint i = invocation();
	if (i >= n) return;
	bool yes;
	if (has_index_a) {
		int p = index_a(i), q = index_b(i % m);
		yes = holds(p < q, p == q, false);
	} else {
		float p = a(i), q = b(i % m);
		yes = holds(p < q, p == q, is_nan(p) || is_nan(q));
	}
	set_mask(i, yes ? 1 : 0);
}
