package smb

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// turnPatience is for how long a mount waits while the kernel is busy with one and the same other mount: as long as a server may take
	// for a greeting. A healthy mount takes 0.02 s, the first one after boot up to 1.8 s (FACTS 4).
	turnPatience = greetLimit
	// standBack is for how long a server whose mount failed leaves the turn to others that it was in the way of: they come again within
	// that time, as it is the longest pause of the background.
	standBack = longestPause
)

// turn is the kernel's mount call. Its SMB client mounts one share at a time, whatever the server, and who waits there can neither leave
// nor learn for whom (FACTS 4). Here he can. The next turn is that of the server whose last one is longest ago, so that a mount waits for
// one mount of each other server at most, however many shares that has.
type turn struct {
	mu      sync.Mutex // guards what follows; never held while waiting
	holder  holder
	waiting []*place // in the order in which they came
	turns   int
	last    map[string]int // by server: the number of its last turn
	resting string         // the server that stands back, or ""
	until   time.Time      // when that ends
}

// holder is the mount that the kernel is busy with; its server is "" when there is none.
type holder struct {
	server string
	since  time.Time // when it got its turn
	others bool      // a mount of another server waited for it in vain
	until  time.Time // there is none: the server that waits lets others go first until then
}

// place is who waits for a turn.
type place struct {
	server string
	given  chan struct{} // closed when it has the turn
}

func (p *place) key() string { return strings.ToLower(p.server) }

func newTurn() *turn { return &turn{last: map[string]int{}} }

// take waits for the turn, which give ends, by saying whether the mount failed. It is nil when the context ended first, or the kernel has
// been busy for so long that waiting is pointless; then inTheWay tells with what.
func (t *turn) take(ctx context.Context, server string) (give func(failed bool), inTheWay holder) {
	own := t.join(server)
	timer := time.NewTimer(t.current().left())
	defer timer.Stop()
	for {
		select {
		case <-own.given:
			return t.give, holder{}
		case <-ctx.Done():
			return t.leave(own)
		case <-timer.C:
			left := t.current().left()
			if left <= 0 {
				return t.leave(own)
			}
			timer.Reset(left)
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

func (t *turn) join(server string) *place {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := &place{server: server, given: make(chan struct{})}
	t.waiting = append(t.waiting, own)
	t.next()
	return own
}

// leave gives a place up, unless it has just got the turn.
func (t *turn) leave(own *place) (give func(failed bool), inTheWay holder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.Index(t.waiting, own)
	if at < 0 {
		return t.give, holder{}
	}
	t.waiting = slices.Delete(t.waiting, at, at+1)
	t.holder.others = t.holder.others || !strings.EqualFold(own.server, t.holder.server)
	return nil, t.ahead(own.key())
}

// inTheWay is what a server waits for.
func (t *turn) inTheWay(server string) holder {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ahead(strings.ToLower(server))
}

// ahead is [turn.inTheWay] for a caller that has mu.
func (t *turn) ahead(key string) holder {
	found := t.holder
	if found.server == "" && t.stands(key) {
		found.until = t.until
	}
	return found
}

// stands says whether a server lets others go first. Its caller has mu.
func (t *turn) stands(key string) bool { return key == t.resting && time.Now().Before(t.until) }

func (t *turn) give(failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed && t.holder.others {
		t.resting, t.until = strings.ToLower(t.holder.server), time.Now().Add(standBack)
		time.AfterFunc(standBack, t.rested)
	}
	t.holder = holder{}
	t.next()
}

func (t *turn) rested() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next()
}

// next gives the turn to whoever is due, when nobody has it. Its caller has mu.
func (t *turn) next() {
	var due *place
	for _, one := range t.waiting {
		if !t.stands(one.key()) && (due == nil || t.last[one.key()] < t.last[due.key()]) {
			due = one
		}
	}
	if due == nil || t.holder.server != "" {
		return
	}
	if due.key() != t.resting {
		t.resting = ""
	}
	t.turns++
	t.last[due.key()], t.holder = t.turns, holder{server: due.server, since: time.Now()}
	t.waiting = slices.DeleteFunc(t.waiting, func(one *place) bool { return one == due })
	close(due.given)
}
