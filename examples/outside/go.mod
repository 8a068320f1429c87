// A module of its own: it uses Agora as a stranger would.
module example.com/outside

go 1.26

require github.com/agora-ml/agora v0.0.0

replace github.com/agora-ml/agora => ../..
