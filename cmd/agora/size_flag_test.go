package main

import "testing"

func TestMemorySize(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "1": 1 << 20, "15000": 15000 << 20, "0.5G": 512 << 20, "1.5M": 3 << 19, "2GiB": 2 << 30,
		"2gb": 2 << 30, "1T": 1 << 40, "64k": 64 << 10,
		"1073741824": 1 << 50, " 4 ": 4 << 20, "1024T": 1 << 50,
	} {
		var s memorySize
		if err := s.Set(text); err != nil || int(s) != want {
			t.Errorf("%q is %d, %v, want %d", text, s, err, want)
		}
		var again memorySize
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%q is written as %q and read as %d, %v", text, s.String(), again, err)
		}
	}
	for text, want := range map[string]string{
		"99999999999999G": "want at most 1073741824 MiB", "1073741825": "want at most 1073741824 MiB",
		"99999999999999999999999": "want at most 1073741824 MiB",
		"-1":                      amount, "1e30": amount, "NaN": amount, "inf": amount, "": amount, "G": amount,
		"5X": amount, "0x10": amount, "1_000": amount, "1 2": amount, "0.0001k": amount, "--": amount, "5Gx": amount,
	} {
		var s memorySize
		if err := s.Set(text); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

const amount = "want an amount of memory in MiB, or with a unit: 500M, 1.5G"
