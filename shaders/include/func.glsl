//enum Func is the function that Unary applies and UnaryGrad differentiates.
#define Func uint
const uint FuncExp = 0;      // e^x
const uint FuncLog = 1;      // the natural logarithm
const uint FuncSqrt = 2;     // the square root
const uint FuncTanh = 3;     // the hyperbolic tangent
const uint FuncSigmoid = 4;  // 1 / (1 + e^-x)
const uint FuncReLU = 5;     // max(x, 0)
const uint FuncGELU = 6;     // x * (1 + erf(x/sqrt 2)) / 2
const uint FuncGELUTanh = 7; // x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) / 2
const uint FuncSiLU = 8;     // x / (1 + e^-x)
