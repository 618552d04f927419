package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/docker/go-units"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

const (
	// refreshEvery is how often pools are looked at, and brought up until they have been up once.
	refreshEvery = 30 * time.Second
	refreshLimit = 25 * time.Second
	// A pool is low on space below either of these: an OCFS2 that is full stops every database on it.
	lowShare = 10 // percent
	lowBytes = 1 << 30
)

// state is what was last seen of a pool.
type state struct {
	pool  settings.Pool
	facts mounter.Filesystem
	err   error
	when  time.Time
	up    bool // it was well once since the start
}

func (b *Backend) note(pool settings.Pool, facts mounter.Filesystem, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.states[pool.Name]
	if facts.Size > 0 {
		known.facts = facts
	}
	known.pool, known.err, known.when = pool, err, b.now()
	known.up = known.up || err == nil || errors.Is(err, backend.ErrUnused)
	b.states[pool.Name] = known
}

// Run looks at each pool at once and then now and again, until the context ends. It brings up a pool that has not been up
// since the start, as after a boot with the NAS later than the node. One that was up and is unmounted now was unmounted by
// somebody, for a check of the file system perhaps: it comes back when a volume on it is asked for. Run unmounts nothing.
func (b *Backend) Run(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		b.Refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Refresh looks at every configured pool once, all at the same time, so that none delays another.
func (b *Backend) Refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	pools := slices.DeleteFunc(slices.Clone(b.settings.Current().Pools), func(pool settings.Pool) bool {
		return pool.Standalone && b.known(pool.Name).when.IsZero() // it is made by its first volume
	})
	done := make(chan struct{}, len(pools))
	for _, pool := range pools {
		go func() {
			defer func() { done <- struct{}{} }()
			was := b.known(pool.Name)
			_, err := b.prove(ctx, pool, wanted{raise: !was.up, space: true})
			b.tell(pool, was, err)
		}()
	}
	for range pools {
		<-done
	}
}

// tell logs a change once.
func (b *Backend) tell(pool settings.Pool, was state, err error) {
	log := b.log.WithField("pool", pool.Name)
	switch {
	case errors.Is(err, backend.ErrUnused):
	case err != nil && (was.when.IsZero() || was.err == nil):
		log.WithError(err).Warn("pool is not usable")
	case err == nil && was.err != nil && !errors.Is(was.err, backend.ErrUnused):
		log.Info("pool is usable again")
	}
}

func (b *Backend) known(name string) state {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.states[name]
}

// Status tells where the volume is and how its pool was when last seen.
func (b *Backend) Status(volume backend.Volume) map[string]any {
	location := volume.Location
	status := map[string]any{"pool": location.Pool, "adopted": location.Adopted}
	if location.Subdir != "" {
		status["directory"] = location.Subdir
	}
	known := b.known(location.Pool)
	if known.err != nil {
		status["problem"] = known.err.Error()
	} else if warning := known.low(); warning != "" {
		status["warning"] = warning
	}
	return status
}

// Report tells of every configured pool.
func (b *Backend) Report() []map[string]any {
	pools := b.settings.Current().Pools
	reports := make([]map[string]any, 0, len(pools))
	for _, pool := range pools {
		known := b.known(pool.Name)
		report := map[string]any{"pool": pool.Name, "path": pool.Path, "healthy": known.err == nil && (pool.Standalone || !known.when.IsZero())}
		if !known.when.IsZero() {
			report["checked"] = known.when.UTC().Format(time.RFC3339)
		}
		if known.facts.Size > 0 {
			report["uuid"], report["size_bytes"], report["available_bytes"] = known.facts.UUID, known.facts.Size, known.facts.Available
		}
		switch warning := known.low(); {
		case errors.Is(known.err, backend.ErrUnused):
			report["note"] = "not used by homelab-storage yet: the first volume that is created on it makes its marker"
		case known.err != nil:
			report["problem"] = known.err.Error()
		case warning != "":
			report["warning"] = warning
		}
		reports = append(reports, report)
	}
	return reports
}

// low is a warning when space runs out.
func (s state) low() string {
	facts := s.facts
	if facts.Size == 0 || (facts.Available >= facts.Size/100*lowShare && facts.Available >= lowBytes) {
		return ""
	}
	return fmt.Sprintf("pool %s has only %s of %s left: delete data, or empty its trash (docker homelab trash empty)",
		s.pool.Name, units.BytesSize(float64(facts.Available)), units.BytesSize(float64(facts.Size)))
}
