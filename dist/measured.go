package dist

import "time"

// Measured is a World that tells how long its process waits for the others, and how much it hands them. Start makes
// calls beside what the process does meanwhile.
type Measured struct {
	World
	Waited time.Duration // in all calls so far, and for those that Start has begun
	Sent   int           // bytes given to Send, Exchange, AllGather and Share, and as the root of Broadcast

	begun chan struct{} // is closed when all that Start has begun is done; nil: nothing
}

// Start makes calls of a World, which hand others so many bytes, while the caller goes on, and gives what waits until
// they are done. Whatever the caller asks of m afterwards is done after them: the order is that of asking.
func (m *Measured) Start(sent int, calls func(w World) error) (wait func() error) {
	m.Sent += sent
	before, done := m.begun, make(chan struct{})
	m.begun = done
	var err error
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		err = calls(m.World)
	}()
	return func() error {
		m.await(done)
		return err
	}
}

// await waits for what has been begun.
func (m *Measured) await(begun chan struct{}) {
	start := time.Now()
	<-begun
	m.Waited += time.Since(start)
}

// Finish waits until all that Start has begun is done.
func (m *Measured) Finish() {
	if m.begun != nil {
		m.await(m.begun)
		m.begun = nil
	}
}

func (m *Measured) timed(sent int, call func() error) error {
	m.Finish()
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

// Exchange implements World.
func (m *Measured) Exchange(with int, data, into []byte) error {
	return m.timed(len(data), func() error { return m.World.Exchange(with, data, into) })
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

// Share implements World.
func (m *Measured) Share(all []byte, ends []int) error {
	own := ends[m.Rank()]
	if m.Rank() > 0 {
		own -= ends[m.Rank()-1]
	}
	return m.timed(own, func() error { return m.World.Share(all, ends) })
}

// Barrier implements World.
func (m *Measured) Barrier() error { return m.timed(0, m.World.Barrier) }
