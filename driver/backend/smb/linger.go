package smb

import (
	"context"
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

// Run mounts what this node used last, looks after the shares, and unmounts those that nothing has used for Defaults.ShareLinger,
// until the context ends.
func (b *Backend) Run(ctx context.Context) {
	b.warm()
	look, sweep := time.NewTicker(tick), time.NewTicker(sweepEvery)
	defer look.Stop()
	defer sweep.Stop()
	defer b.checks.group.Wait()
	b.Check(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			b.Check(ctx)
		case <-sweep.C:
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
	newest := b.newest(table)
	for _, mount := range table {
		key, number := b.place(mount.Target)
		if key == "" || mount.FSType != "cifs" {
			continue
		}
		last := number == newest[key]
		if usedByBind(table, b.root, mount.Device) {
			b.touch(share{key: key})
		} else if current := b.leave(key, last); current != nil {
			b.unmount(ctx, mount.Target, last)
			b.land(key, current, nil)
		}
	}
}

// newest are the numbers of each share's newest mount.
func (b *Backend) newest(table []mounter.Mount) map[string]int {
	numbers := map[string]int{}
	for _, mount := range table {
		if key, number := b.place(mount.Target); key != "" {
			numbers[key] = max(numbers[key], number)
		}
	}
	return numbers
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
// begins to linger now. A mount that was replaced waits only for the bind of a Stage that came before.
func (b *Backend) leave(key string, last bool) *flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.states[key]
	if known.used.IsZero() {
		known.used = b.now()
		b.states[key] = known
	}
	since, linger := known.used, max(b.settings.Current().Defaults.ShareLinger, shortestLinger)
	if !last {
		since, linger = known.replaced, shortestLinger
	}
	if b.flights[key] != nil || b.now().Sub(since) < linger {
		return nil
	}
	current := &flight{since: time.Now(), done: make(chan struct{})}
	b.flights[key] = current
	return current
}

// unmount ends a share's mount. A failure is not its next user's: the share is still mounted then.
func (b *Backend) unmount(ctx context.Context, target string, last bool) {
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	log := b.log.WithField("share_mount", target)
	if err := b.kernel.Unmount(ctx, target); err != nil {
		log.WithError(err).Warn("an unused share cannot be unmounted")
		return
	}
	b.loggedOut(target)
	log.Info("unused share unmounted")
	if key, _ := b.place(target); last {
		b.drop(key)
	}
}
