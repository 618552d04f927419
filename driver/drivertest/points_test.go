package drivertest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// errDead is what a process that died meets from then on.
var errDead = errors.New("the process is dead")

// points are the places of one process at which it can be stopped: what it asks of the kernel and what it does to files.
type points struct {
	mu    sync.Mutex // guards what follows
	count int
	off   bool   // what is done now is not counted
	at    int    // the point that is hit; 0 for none
	only  string // when set, what has it in its name is a point, and nothing else
	kill  bool   // the process dies there; else the point fails
	dead  bool
	hit   string // what was hit last
	when  time.Time
	kinds map[string]int
	// chance says of any point whether it fails; nil means none.
	chance func() bool
}

// step is asked before every call and every durable step.
func (p *points) step(kind, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errDead
	}
	if p.off || !strings.Contains(name, p.only) {
		return nil
	}
	p.count++
	if p.kinds == nil {
		p.kinds = map[string]int{}
	}
	p.kinds[kind]++
	if p.count != p.at && (p.chance == nil || !p.chance()) {
		return nil
	}
	p.when = time.Now()
	p.hit = strings.TrimSpace(kind + " " + name)
	if p.kill {
		p.dead = true
		return errDead
	}
	switch kind {
	case durable.OpCreate, durable.OpWrite, durable.OpMkdir:
		return fmt.Errorf("injected: %w", syscall.ENOSPC)
	default:
		return fmt.Errorf("injected: %w", syscall.EIO)
	}
}

func (p *points) died() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// die ends the process here, as kill -9 does.
func (p *points) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

// lately says whether a point has failed in the last seconds.
func (p *points) lately() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.when.IsZero() && time.Since(p.when) < 2*time.Second
}

func (p *points) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// counts has what follows counted, or not.
func (p *points) counts(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = !on
}

// aim has one point fail, or kill, of those that follow and have a text in their names.
func (p *points) aim(only string, at int, kill bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.only, p.count, p.at, p.kill = only, 0, at, kill
}

// was tells what was hit, "" when nothing was.
func (p *points) was() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit
}
