//go:build !amd64 || noasm

package cpulevel

func supported() Level { return Plain }
