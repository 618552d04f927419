package smb

import (
	"context"
	"sync"
	"time"
)

// turnPatience is for how long a mount waits while the kernel is busy with one and the same other mount: as long as a server may take
// for a greeting. A healthy mount takes 0.02 s, the first one after boot up to 1.8 s (FACTS 4).
const turnPatience = greetLimit

// turn is the kernel's mount call. Its SMB client mounts one share at a time, whatever the server, and who waits there can neither leave
// nor learn for whom (FACTS 4). Here he can.
type turn struct {
	held chan struct{} // has room for one: who has the turn

	mu     sync.Mutex // guards what follows; never held while waiting
	holder holder
}

// holder is the mount that the kernel is busy with; its server is "" when there is none.
type holder struct {
	server string
	since  time.Time // when it got its turn
}

func newTurn() *turn { return &turn{held: make(chan struct{}, 1)} }

// take waits for the turn, which give ends. It is nil when the context ended first, or the kernel has been busy for so long that waiting
// is pointless; then inTheWay tells with what.
func (t *turn) take(ctx context.Context, server string) (give func(), inTheWay holder) {
	timer := time.NewTimer(t.current().left())
	defer timer.Stop()
	for {
		select {
		case t.held <- struct{}{}:
			t.enter(holder{server: server, since: time.Now()})
			return t.give, holder{}
		case <-ctx.Done():
			return nil, t.current()
		case <-timer.C:
			current := t.current()
			if current.left() <= 0 {
				return nil, current
			}
			timer.Reset(current.left())
		}
	}
}

// left is for how long it makes sense to wait for a mount to end.
func (h holder) left() time.Duration {
	if h.server == "" {
		return turnPatience
	}
	return turnPatience - time.Since(h.since)
}

func (t *turn) current() holder {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holder
}

func (t *turn) enter(next holder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holder = next
}

func (t *turn) give() {
	t.enter(holder{})
	<-t.held
}
