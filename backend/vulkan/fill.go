package vulkan

import "github.com/agora-ml/agora/tensor"

// fill is how a buffer gets content while kernels run: from staging memory of its own, copied by a transfer behind the
// submission that uses the old content last, and before the next one that is made; or, where the device shares the
// host's memory, by whoever writes to the buffer itself, once that submission has finished.
type fill struct {
	staging memory // none where the memory is shared
	n       int    // bytes of the fill that has begun
	after   uint64 // the submission that uses the old content last
	sent    uint64 // the last transfer from the staging memory
}

// Fill implements tensor.Filler.
func (b *backend) Fill(dst tensor.Buffer, n int) (room func() ([]byte, error)) {
	b.submit()
	buf := dst.(*buffer)
	f := b.fillOf(buf)
	if b.err != nil {
		err := b.err
		return func() ([]byte, error) { return nil, err }
	}
	f.n, f.after = n, b.next-1
	if f.staging.host == nil {
		own, after := buf.block.host[buf.at:buf.at+n:buf.at+n], f.after
		return func() ([]byte, error) { return own, b.hw.wait(after) }
	}
	staged, sent := f.staging.host[:n:n], f.sent
	return func() ([]byte, error) { return staged, b.hw.transferred(sent) }
}

// fillOf is a buffer's fill, with staging memory if it needs some.
func (b *backend) fillOf(buf *buffer) *fill {
	f := b.fills[buf]
	if f != nil || b.err != nil {
		return f
	}
	f = &fill{}
	if b.staged || buf.block.host == nil {
		var err error
		if f.staging, err = b.hw.allocate(buf.size, true); err != nil {
			b.fail(err)
			return nil
		}
		b.memory.count--
	}
	b.fills[buf] = f
	return f
}

// Filled implements tensor.Filler.
func (b *backend) Filled(dst tensor.Buffer) {
	b.submit() // what was asked before need not wait for the transfer
	buf := dst.(*buffer)
	f := b.fills[buf]
	if b.err != nil || f == nil || f.staging.host == nil { // the next submission sees what the host has written
		return
	}
	if b.transfers >= transfers {
		if b.fail(b.hw.transferred(b.transfers + 1 - transfers)); b.err != nil {
			return
		}
	}
	c := command{kind: copyCommand, from: f.staging.buffer, to: buf.block.buffer, toAt: uint64(buf.at), n: uint64(f.n)}
	if b.fail(b.hw.transfer(b.transfers+1, &c, f.after)); b.err != nil {
		return
	}
	b.transfers++
	b.rec.counts.Transfers++
	f.sent = b.transfers
}

// Abandon implements tensor.Filler.
func (b *backend) Abandon(tensor.Buffer) { b.abandoned = true }

// endFill gives a buffer's staging memory back.
func (b *backend) endFill(buf *buffer) {
	f := b.fills[buf]
	if f == nil {
		return
	}
	if f.staging.host != nil {
		_ = b.hw.transferred(f.sent) // its error comes again with the next submission
		b.hw.release(f.staging)
		b.memory.count++
	}
	delete(b.fills, buf)
}

func (b *backend) closeFills() {
	for buf := range b.fills {
		b.endFill(buf)
	}
}
