package vulkan

import "testing"

// Queue families as drivers list them (vulkan.gpuinfo.org, and Mesa's on pretended cards), and what copies get.
func TestTransferQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		list     []queueFamily
		computes int
		want     queue
		streams  Streams
	}{
		"NVIDIA's driver": {[]queueFamily{{0xf, 16}, {0xc, 2}, {0xe, 8}, {0x2c, 1}, {0x4c, 1}}, 2, queue{1, 0},
			StreamsTransfer},
		"video before copies": {[]queueFamily{{0xf, 16}, {0x2c, 1}, {0xc, 1}}, 0, queue{2, 0}, StreamsTransfer},
		"RADV":                {[]queueFamily{{0xf, 1}, {0xe, 4}, {0x8, 1}}, 1, queue{1, 1}, StreamsSecond},
		"lavapipe, NVK":       {[]queueFamily{{0xf, 1}}, 0, queue{0, 0}, StreamsBetween},
		"a family of none":    {[]queueFamily{{0xf, 1}, {0x4, 0}}, 0, queue{0, 0}, StreamsBetween},
	} {
		if got, streams := transferQueue(tt.list, tt.computes); got != tt.want || streams != tt.streams {
			t.Errorf("%s: %v by %s, want %v by %s", name, got, streams, tt.want, tt.streams)
		}
	}
}

// Memory that a card shows the host is not the host's own.
func TestSharedMemory(t *testing.T) {
	for kind, want := range map[Kind]bool{KindIntegrated: true, KindCPU: true, KindDiscrete: false, KindVirtual: false} {
		if got := (Info{Kind: kind}).sharesMemory(7); got != want {
			t.Errorf("%s shares memory: %v, want %v", kind, got, want)
		}
	}
	for flags, want := range map[uint32]bool{1: false, 3: false, 7: true, 15: true} { // local, visible, coherent, cached
		if got := (Info{Kind: KindIntegrated}).sharesMemory(flags); got != want {
			t.Errorf("memory with flags %b is shared: %v, want %v", flags, got, want)
		}
	}
}
