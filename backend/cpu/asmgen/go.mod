module github.com/agora-ml/agora/backend/cpu/asmgen

go 1.26
