//enum Relation is what Compare asks of two elements.
#define Relation uint
const uint RelationEqual = 0;        // a == b
const uint RelationNotEqual = 1;     // a != b
const uint RelationLess = 2;         // a < b
const uint RelationLessEqual = 3;    // a <= b
const uint RelationGreater = 4;      // a > b
const uint RelationGreaterEqual = 5; // a >= b
