// A module of its own: it adds an operation to Agora as a stranger would.
module example.com/own-kernel

go 1.26

require github.com/agora-ml/agora v0.0.0

replace github.com/agora-ml/agora => ../..
