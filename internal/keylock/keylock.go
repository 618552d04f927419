// Package keylock is a lock per key that is waited for under a context: one call at a time for a volume, one test of a
// login at a time for a share. Keys never wait for each other; a key that nobody holds or waits for takes no memory.
package keylock

import (
	"context"
	"sync"
)

// Locks is a set of locks. The zero value is ready.
type Locks struct {
	mu    sync.Mutex // guards byKey and the counts; never held while waiting
	byKey map[string]*lock
}

type lock struct {
	held  chan struct{} // has room for one: its holder
	users int           // holder and waiters
}

// Lock waits for a key until the context ends. The returned function gives it back; it is called once.
func (l *Locks) Lock(ctx context.Context, key string) (unlock func(), err error) {
	own := l.join(key)
	select {
	case own.held <- struct{}{}:
		return func() { l.giveBack(key, own) }, nil
	case <-ctx.Done():
		l.leave(key, own)
		return nil, context.Cause(ctx)
	}
}

// TryLock takes a key that nobody has, and waits for none.
func (l *Locks) TryLock(key string) (unlock func(), free bool) {
	own := l.join(key)
	select {
	case own.held <- struct{}{}:
		return func() { l.giveBack(key, own) }, true
	default:
		l.leave(key, own)
		return nil, false
	}
}

func (l *Locks) giveBack(key string, own *lock) {
	<-own.held
	l.leave(key, own)
}

func (l *Locks) join(key string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byKey == nil {
		l.byKey = map[string]*lock{}
	}
	own := l.byKey[key]
	if own == nil {
		own = &lock{held: make(chan struct{}, 1)}
		l.byKey[key] = own
	}
	own.users++
	return own
}

func (l *Locks) leave(key string, own *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(l.byKey, key)
	}
}
