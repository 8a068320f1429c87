// A module of its own: nobody who uses Agora needs what packs it.
module github.com/agora-ml/agora/tools/release/modulezip

go 1.26.0

require golang.org/x/mod v0.43.0
