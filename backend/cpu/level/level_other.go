//go:build !amd64 || noasm

package level

func supported() Level { return Plain }
