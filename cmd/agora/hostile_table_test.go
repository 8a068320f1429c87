//go:build unix

package main

var hostileFiles, hostileSettings, hostilePlaces []hostile

func hostileConfigs() []hostile { return nil }
