package protocol

import (
	"context"
	"sync"
	"time"
)

// lockTimeout is how long a call waits for others before it answers "try again later": far longer
// than thousands of calls take, and shorter than a runtime's patience.
const lockTimeout = 10 * time.Second

// patience is a context that ends lockTimeout after somebody has begun to wait for its end. A timer
// from the beginning would cost every call a thread, and hardly any call has to wait.
type patience struct {
	context.Context
	begin sync.Once
	ended chan struct{}
}

// NewPatience returns the context of one wait for other calls.
func NewPatience() context.Context {
	return &patience{Context: context.Background(), ended: make(chan struct{})}
}

// Done returns a channel that is closed lockTimeout after the first call.
func (p *patience) Done() <-chan struct{} {
	p.begin.Do(func() { time.AfterFunc(lockTimeout, func() { close(p.ended) }) })
	return p.ended
}

// Err returns context.DeadlineExceeded once that channel is closed.
func (p *patience) Err() error {
	select {
	case <-p.ended:
		return context.DeadlineExceeded
	default:
		return nil
	}
}
