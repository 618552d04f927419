package smb

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/mounter"
)

const (
	// sweepEvery is how often unused shares are looked for.
	sweepEvery = 30 * time.Second
	// shortestLinger covers the time between a Stage and the bind that follows it, which is at most a caller's 25 s.
	shortestLinger = time.Minute
	// sweepLimit bounds one look at the table and one unmount.
	sweepLimit = 10 * time.Second
)

// Run unmounts shares that nothing has used for Defaults.ShareLinger, until the context ends.
func (b *Backend) Run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			b.Sweep(ctx)
		}
	}
}

// Sweep unmounts the shares that have been unused for long enough, once.
func (b *Backend) Sweep(ctx context.Context) {
	look, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	table, err := b.kernel.Table(look, mounter.Plugin)
	if err != nil {
		b.log.WithError(err).Warn("cannot look for unused shares")
		return
	}
	for key, device := range b.own(table) {
		if usedByBind(table, b.root, device) {
			b.touch(key)
		} else if current := b.leave(key); current != nil {
			b.unmount(ctx, key)
			b.land(key, current, nil)
		}
	}
}

// own are the share mounts of the table: key to device.
func (b *Backend) own(table []mounter.Mount) map[string]string {
	found := map[string]string{}
	for _, mount := range table {
		if path.Dir(mount.Target) == b.root && mount.FSType == "cifs" {
			found[path.Base(mount.Target)] = mount.Device
		}
	}
	return found
}

// usedByBind says whether a share's file system is mounted anywhere but at the shares' own places.
func usedByBind(table []mounter.Mount, root, device string) bool {
	for _, mount := range table {
		if mount.Device == device && !strings.HasPrefix(mount.Target, root+"/") {
			return true
		}
	}
	return false
}

// leave registers the unmount of a share that has lingered long enough. A share that this process sees for the first time
// begins to linger now.
func (b *Backend) leave(key string) *flight {
	linger := max(b.settings.Current().Defaults.ShareLinger, shortestLinger)
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.states[key]
	if known.used.IsZero() {
		known.used = b.now()
		b.states[key] = known
	}
	if b.flights[key] != nil || b.now().Sub(known.used) < linger {
		return nil
	}
	current := &flight{since: time.Now(), done: make(chan struct{})}
	b.flights[key] = current
	return current
}

// unmount ends a share's mount. A failure is not its next user's: the share is still mounted then.
func (b *Backend) unmount(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	log := b.log.WithField("share_mount", path.Join(b.root, key))
	if err := b.kernel.Unmount(ctx, path.Join(b.root, key)); err != nil {
		log.WithError(err).Warn("an unused share cannot be unmounted")
		return
	}
	log.Info("unused share unmounted")
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.states, key)
}
