package dist

import "time"

// Measured is a World that tells how long its process waits for the others, and how much it hands them.
type Measured struct {
	World
	Waited time.Duration // in all calls so far
	Sent   int           // bytes given to Send, to AllGather, and as the root of Broadcast
}

func (m *Measured) timed(sent int, call func() error) error {
	m.Sent += sent
	start := time.Now()
	defer func() { m.Waited += time.Since(start) }()
	return call()
}

// Send implements World.
func (m *Measured) Send(to int, data []byte) error {
	return m.timed(len(data), func() error { return m.World.Send(to, data) })
}

// Receive implements World.
func (m *Measured) Receive(from int, into []byte) error {
	return m.timed(0, func() error { return m.World.Receive(from, into) })
}

// Broadcast implements World.
func (m *Measured) Broadcast(root int, data []byte) error {
	sent := 0
	if root == m.Rank() {
		sent = len(data)
	}
	return m.timed(sent, func() error { return m.World.Broadcast(root, data) })
}

// AllGather implements World.
func (m *Measured) AllGather(own []byte) (parts [][]byte, err error) {
	err = m.timed(len(own), func() error {
		parts, err = m.World.AllGather(own)
		return err
	})
	return parts, err
}

// Barrier implements World.
func (m *Measured) Barrier() error { return m.timed(0, m.World.Barrier) }
