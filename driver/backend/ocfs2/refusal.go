package ocfs2

import (
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// refusal says that a pool is drained: its volumes are not to be had, and, when all is set, nobody may touch it but its upkeep.
type refusal struct {
	since time.Time
	all   bool
}

func (r refusal) set() bool { return !r.since.IsZero() }

// failure is the sentence. The pool comes back: who was refused is tried again then.
func (r refusal) failure(pool settings.Pool) error {
	return fail(pool, "it is drained on this node since %s (docker homelab drain), so nothing is mounted from it; `docker homelab undrain %s` mounts it again",
		r.since.UTC().Format(time.RFC3339), pool.Name)
}

func (b *Backend) refusal(name string) refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusals[name]
}

// Refuse keeps a pool's volumes from being staged, made and removed until Admit; with all, every other piece of work on the pool
// too, so that nothing mounts it or has a file of it open.
func (b *Backend) Refuse(name string, since time.Time, all bool) {
	refused := refusal{since: since, all: all}
	b.mu.Lock()
	b.refusals[name] = refused
	b.mu.Unlock()
	if pool, err := b.find(name, false); err == nil {
		b.note(pool, mounter.Filesystem{}, refused.failure(pool))
	}
}

// Admit ends what Refuse began.
func (b *Backend) Admit(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.refusals, name)
}

// reserved is a pool that can be drained: one with a disk of its own.
func (b *Backend) reserved(name string) (settings.Pool, error) {
	pool, err := b.find(name, name == standaloneName)
	if err == nil && pool.Standalone {
		err = &backend.Failure{Text: "the standalone pool is a folder of this node's own disk: there is nothing to unmount or check"}
	}
	return pool, err
}
