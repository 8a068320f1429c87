module github.com/agora-ml/agora

go 1.26
