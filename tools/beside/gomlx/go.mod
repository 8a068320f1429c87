module github.com/agora-ml/agora/tools/beside/gomlx

go 1.26.5

require (
	github.com/agora-ml/agora v0.0.0
	github.com/gomlx/compute v0.1.2
	github.com/gomlx/gomlx v0.0.0
)

require (
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/vulkan-go/vulkan v0.0.0-20221209234627-c0a353ae26c8 // indirect
	golang.org/x/exp v0.0.0-20260410095643-746e56fc9e2f // indirect
	golang.org/x/sys v0.49.0 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
	k8s.io/klog/v2 v2.140.0 // indirect
)

replace (
	github.com/agora-ml/agora => ../../..
	github.com/gomlx/compute => ./source/compute
	github.com/gomlx/gomlx => ./source/gomlx
)
