package driver

import (
	"context"
	"sync"
)

// keyLock serialises the calls of one volume without holding up any other.
type keyLock struct {
	mu   sync.Mutex // guards keys; held for map operations only, never across a wait
	keys map[string]*lockedKey
}

type lockedKey struct {
	turn  chan struct{} // holds one token while the key is free
	users int           // how many hold or wait; the entry goes with the last
}

// lock waits for the key until the context ends. The returned function gives it back.
func (l *keyLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	entry := l.enter(key)
	select {
	case <-entry.turn:
		return func() {
			entry.turn <- struct{}{}
			l.leave(key)
		}, nil
	case <-ctx.Done():
		l.leave(key)
		return nil, context.Cause(ctx)
	}
}

func (l *keyLock) enter(key string) *lockedKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil {
		l.keys = map[string]*lockedKey{}
	}
	entry := l.keys[key]
	if entry == nil {
		entry = &lockedKey{turn: make(chan struct{}, 1)}
		entry.turn <- struct{}{}
		l.keys[key] = entry
	}
	entry.users++
	return entry
}

func (l *keyLock) leave(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry := l.keys[key]
	if entry.users--; entry.users == 0 {
		delete(l.keys, key)
	}
}
