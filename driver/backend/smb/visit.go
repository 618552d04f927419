package smb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
)

const (
	// lookPatience is when a look into a mounted share that has not come back makes us ask the server's port: a healthy share
	// answers in milliseconds, one whose disks have to spin up in some seconds.
	lookPatience = time.Second
	// lookLimit is how long a server that accepts connections may take for a look. It leaves a caller's 25 s some room.
	lookLimit = 20 * time.Second
	// reconnectPause is when a share whose connection is being set up again is asked once more, and reconnectLimit for how long: the client
	// of a server that accepts connections needs a second or two.
	reconnectPause = 250 * time.Millisecond
	reconnectLimit = 4 * time.Second
	// replacePause is how long a mount that replaced a stale one is given before it is replaced itself.
	replacePause = time.Minute
)

// errGone says that a mount is not where it was found before.
var errGone = errors.New("the share is not mounted there any more")

// errUnused says that a share was unmounted because nothing used it, while the background was about to look at it.
var errUnused = errors.New("the share is not used any more")

// errStale says that a mount cannot be used any more although its server is there.
var errStale = errors.New("the share's mount is stale")

// movedError says that a mounted share's server has another address now.
type movedError struct{ old, now string }

func (e *movedError) Error() string {
	return fmt.Sprintf("the server moved from %s to %s", e.old, e.now)
}

// Is says that the mount at the old address is stale.
func (*movedError) Is(target error) bool { return target == errStale }

// visit mounts the share unless it is mounted, and works in it. A mount that is of no use any more although its server is there is
// replaced, once; who has the old one keeps it.
func (b *Backend) visit(ctx context.Context, s share, work func(root *os.Root) error) (share, error) {
	s, err := b.ensure(ctx, s)
	if err != nil {
		return s, err
	}
	reason := b.rotated(ctx, s)
	if reason != nil {
		return b.replace(ctx, s, reason, work)
	}
	reason = b.look(ctx, &s, work)
	if errors.Is(reason, errGone) {
		s.number, s.unproven = 0, true
		if s, err = b.ensure(ctx, s); err != nil {
			return s, err
		}
		if reason = b.look(ctx, &s, work); errors.Is(reason, errGone) { // it is mounted: the server does not have it
			reason = fmt.Errorf("%w: %w", errStale, reason)
		}
	}
	if !errors.Is(reason, errStale) || b.replacedLately(s) && b.isNewest(ctx, s) {
		return s, inside(reason)
	}
	return b.replace(ctx, s, reason, work)
}

// isNewest says whether nobody has replaced a mount yet, as the background may have meanwhile.
func (b *Backend) isNewest(ctx context.Context, s share) bool {
	newest, err := b.find(ctx, s)
	return err != nil || newest.target == s.target
}

// replace mounts a share anew beside its stale mount, and works in it.
func (b *Backend) replace(ctx context.Context, s share, reason error, work func(root *os.Root) error) (share, error) {
	fresh := s
	fresh.stale, fresh.number = s.target, 0
	fresh, err := b.ensure(ctx, fresh)
	if err != nil {
		return s, err
	}
	// Somebody may have replaced it before, with credentials that are not the stored ones any more either.
	if again := b.rotated(ctx, fresh); again != nil && fresh.target != s.target {
		return b.replace(ctx, fresh, again, work)
	}
	b.replaced(fresh, reason)
	reason = b.look(ctx, &fresh, work)
	return fresh, inside(reason)
}

// replacedLately says that another new mount would not help either.
func (b *Backend) replacedLately(s share) bool {
	known, _ := b.known(s.key)
	return b.now().Sub(known.replaced) < replacePause
}

// look works in a mounted share, on a thread of its own. One look is in flight per mount, so that a server that is gone takes one
// thread and answers everybody else at once. While the mount says nothing its server is asked why.
func (b *Backend) look(ctx context.Context, s *share, work func(root *os.Root) error) error {
	if reason := b.forewarned(ctx, *s); reason != nil {
		return reason
	}
	asked := *s
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	limited, give := context.WithCancelCause(limited)
	defer give(nil)
	patience := time.AfterFunc(b.patience(asked.key), func() {
		if reason := b.diagnose(limited, asked); reason != nil {
			give(reason)
		}
	})
	defer patience.Stop()
	number, err := b.enterConnected(limited, asked, work)
	if err == nil {
		s.number = number
	}
	switch reason := context.Cause(limited); {
	case (errors.Is(err, mounter.ErrStuck) || reconnecting(err)) && (errors.Is(reason, errStale) || errors.Is(reason, backend.ErrUnavailable)):
		return reason
	case errors.Is(err, mounter.ErrBusy) && !asked.background:
		return b.stuck(ctx, asked, err)
	case errors.Is(err, syscall.ESTALE) && !errors.Is(err, errStale):
		return fmt.Errorf("%w: %w", errStale, err)
	}
	return err
}

// patience is how long a look may say nothing before the share's server is asked.
func (b *Backend) patience(key string) time.Duration {
	if known, _ := b.known(key); errors.Is(known.err, backend.ErrUnavailable) {
		return headStart // it was away a moment ago
	}
	return lookPatience
}

// enterConnected works in a mounted share, on a thread of its own. While the client connects again the share's root gives errors, which
// are not the caller's; work is not done twice.
func (b *Backend) enterConnected(ctx context.Context, s share, work func(root *os.Root) error) (uint64, error) {
	for began := time.Now(); ; {
		number, begun := uint64(0), false // of this try alone: a late answer of another one may still be writing to its own
		err := b.kernel.Do(ctx, "share "+s.target, func() (err error) {
			number, err = enter(s, func(root *os.Root) error { begun = true; return work(root) })
			return err
		})
		if err == nil {
			return number, nil
		}
		if !reconnecting(err) || begun || time.Since(began) >= reconnectLimit {
			return 0, err
		}
		select {
		case <-time.After(reconnectPause):
		case <-ctx.Done():
			return 0, err
		}
	}
}

// reconnecting says whether the client's connection was lost in the middle of a call: it connects again by itself.
func reconnecting(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ECONNABORTED)
}

// enter works in a mounted share, and tells its file system.
func enter(s share, work func(root *os.Root) error) (number uint64, err error) {
	root, err := os.OpenRoot(s.target)
	if err != nil {
		return 0, judge(err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	info, err := root.Stat(".")
	if err != nil {
		return 0, judge(err)
	}
	if facts, ok := info.Sys().(*syscall.Stat_t); ok {
		number = facts.Dev
	}
	if s.number != 0 && s.number != number {
		return 0, errGone
	}
	// What is known of a folder is believed for a second, and longer with a lease: only statfs(2) always asks the server. A bind into a
	// share that hangs would hang.
	var ignored syscall.Statfs_t
	if err := syscall.Statfs(s.target, &ignored); err != nil {
		return 0, judge(err)
	}
	return number, work(root)
}

// judge says of a share whose root cannot be opened that its mount is gone, or stale: the server made the share anew, forgot the
// session, or changed who may use it. Mounting it again finds out. A server that is away makes the call hang instead.
func judge(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	for _, number := range []syscall.Errno{syscall.ESTALE, syscall.EACCES, syscall.EHOSTDOWN, syscall.EIO, syscall.ENODEV, syscall.EKEYREVOKED} {
		if errors.Is(err, number) {
			return fmt.Errorf("%w: %w", errStale, err)
		}
	}
	return err
}

// stuck is the answer for a share in which another look has not come back: what was found out since or is found out now, or the bare
// fact.
func (b *Backend) stuck(ctx context.Context, s share, err error) error {
	if known, _ := b.known(s.key); errors.Is(known.err, backend.ErrUnavailable) {
		return known.err
	}
	if reason := b.diagnose(ctx, s); reason != nil {
		return reason
	}
	return err
}

// replaced remembers that a mount took another one's place, and what that means for whoever has the old one.
func (b *Backend) replaced(s share, reason error) {
	text := "this share was mounted anew, since its old mount had become stale; containers that were started before use the old one: restart them if they report errors"
	if moved, ok := errors.AsType[*movedError](reason); ok {
		text = b.explainMoved(s, moved)
	}
	if rotated, ok := errors.AsType[*rotatedError](reason); ok {
		text = rotated.note()
	}
	b.log.WithError(reason).WithField("share", s.device).Warn("a share was mounted anew beside its old mount")
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.states[s.key]
	known.note, known.replaced = text, b.now()
	b.states[s.key] = known
}

// upcalls are the programs that the kernel asks for a server's new address: request-key(8) starts key.dns_resolver(8).
//
//nolint:gochecknoglobals // a constant table
var upcalls = []string{"/sbin/request-key", "/sbin/key.dns_resolver"}

func (b *Backend) explainMoved(s share, moved *movedError) string {
	text := fmt.Sprintf("the server %s has moved from %s to %s: new containers use the new address; ", s.server, moved.old, moved.now)
	for _, program := range upcalls {
		if _, err := os.Stat(b.kernel.HostPath(program)); err != nil {
			return text + "those that were started before wait for the old one, because this host has no " + program +
				" (Debian: apt install keyutils) to tell the kernel: restart them"
		}
	}
	return text + "those that were started before go on when the kernel has looked the name up again; restart them if they do not"
}
