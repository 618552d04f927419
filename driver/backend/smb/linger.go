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

// Run mounts what this node used last, looks after the shares, and unmounts those that nothing has used for Defaults.ShareLinger,
// until the context ends.
func (b *Backend) Run(ctx context.Context) {
	b.warm()
	look, sweep := time.NewTicker(tick), time.NewTicker(sweepEvery)
	defer look.Stop()
	defer sweep.Stop()
	defer b.checks.group.Wait()
	sweeping := make(chan struct{}, 1)
	b.Check(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			b.Check(ctx)
		case <-sweep.C: // beside the looks: to unmount a share of a server that is away takes its time
			select {
			case sweeping <- struct{}{}:
				b.checks.group.Go(func() { b.Sweep(ctx); <-sweeping })
			default:
			}
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
	newest, mounts := b.newest(table)
	for _, mount := range table {
		key, number := b.place(mount.Target)
		switch {
		case mount.FSType == "cifs" && path.Dir(mount.Target) == b.testRoot():
			b.unmount(ctx, mount.Target) // a plugin was killed during a test; one that goes on has its answer already
		case key == "" || mount.FSType != "cifs":
		case usedByBind(table, b.root, mount.Device):
			b.touch(share{key: key})
		default:
			last := number == newest[key]
			current := b.leave(key, last)
			if current == nil {
				continue
			}
			if b.unmount(ctx, mount.Target) {
				mounts[key]--
				b.left(key, last, mounts[key])
			}
			b.land(key, current, nil)
		}
	}
}

// newest are the numbers of each share's newest mount, and how many it has.
func (b *Backend) newest(table []mounter.Mount) (numbers, mounts map[string]int) {
	numbers, mounts = map[string]int{}, map[string]int{}
	for _, mount := range table {
		if key, number := b.place(mount.Target); key != "" {
			numbers[key] = max(numbers[key], number)
			mounts[key]++
		}
	}
	return numbers, mounts
}

// left forgets a share whose last mount was unmounted, but not that its login was refused: that is a problem as long as somebody wants
// it. What was to be said of the mounts before it is void when they are gone.
func (b *Backend) left(key string, last bool, mounts int) {
	b.mu.Lock()
	known := b.states[key]
	_, refused := loginRefused(known.err)
	switch {
	case last && refused:
		known.share.target, known.share.mounted, known.share.number, known.next = "", "", 0, time.Time{}
		b.states[key] = known
	case last:
		delete(b.states, key)
	case mounts == 1:
		known.note = ""
		b.states[key] = known
	}
	b.mu.Unlock()
	if last && !refused {
		b.memory.drop(key)
	}
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
// begins to linger now. A mount that was replaced waits only for the bind of a Stage that came before, and so does one whose login
// is refused: it is of no use to anybody, and the kernel logs in again and again as long as it is there, as often as every second, for
// which many servers lock the user or this node out.
func (b *Backend) leave(key string, last bool) *flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.states[key]
	if known.used.IsZero() {
		known.used = b.now()
		b.states[key] = known
	}
	since, linger := known.used, max(b.settings.Current().Defaults.ShareLinger, shortestLinger)
	if _, refused := loginRefused(known.err); refused && b.now().Sub(known.used) > lookPatience { // else it may just be let in again
		since, linger = known.since, shortestLinger
	}
	if !last {
		since, linger = known.replaced, shortestLinger
	}
	if b.flights[key] != nil || b.now().Sub(since) < linger {
		return nil
	}
	return b.begin(key)
}

// unmount ends a share's mount. A failure is not its next user's: the share is still mounted then.
func (b *Backend) unmount(ctx context.Context, target string) bool {
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	log := b.log.WithField("share_mount", target)
	if err := b.kernel.Unmount(ctx, target); err != nil {
		log.WithError(err).Warn("an unused share cannot be unmounted")
		return false
	}
	b.loggedOut(target)
	log.Info("unused share unmounted")
	return true
}
