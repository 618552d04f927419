package ocfs2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// deeds are what this backend did on the node to bring a pool up, since the boot. They are noted before they are done, so that an
// uninstallation takes away what the plugin brought and leaves what the host did.
type deeds struct {
	Mounted bool   `json:"mounted,omitempty"`
	Path    string `json:"path,omitempty"`   // where the pool is mounted
	UUID    string `json:"uuid,omitempty"`   // of the file system that was mounted last, also by the host
	Target  string `json:"target,omitempty"` // of the iSCSI session
	Portal  string `json:"portal,omitempty"`
}

const maxDeeds = 64 << 10

// remark changes the note of a pool.
func (b *Backend) remark(ctx context.Context, name string, change func(*deeds)) error {
	err := b.withNotes(ctx, name, func(notes *durable.Dir) error {
		done, err := readDeeds(notes, name)
		if err != nil {
			return err
		}
		change(&done)
		text, err := json.Marshal(done)
		if err != nil {
			return err
		}
		return notes.Write(name+".json", text)
	})
	if err != nil {
		return fmt.Errorf("noting what is done for pool %s: %w", name, err)
	}
	return nil
}

// remember notes the UUID of what is mounted at a pool's path, for when its disk does not tell it any more. One that does not answer
// properly, as after an error of the file system, is no reason not to unmount it.
func (b *Backend) remember(ctx context.Context, pool settings.Pool) (uuid string, err error) {
	facts, err := b.kernel.Filesystem(ctx, mounter.Place{Side: mounter.Host, Path: pool.Path})
	if err != nil && ctx.Err() != nil {
		return "", err
	}
	if err != nil || facts.UUID == "" {
		return "", nil //nolint:nilerr // see above
	}
	return facts.UUID, b.remark(ctx, pool.Name, func(done *deeds) { done.UUID = facts.UUID })
}

func (b *Backend) deeds(ctx context.Context, name string) (done deeds, err error) {
	err = b.withNotes(ctx, name, func(notes *durable.Dir) (err error) {
		done, err = readDeeds(notes, name)
		return err
	})
	return done, err
}

func (b *Backend) withNotes(ctx context.Context, name string, work func(*durable.Dir) error) error {
	return b.kernel.Do(ctx, "notes of "+name, func() error {
		notes, err := durable.Open(b.kernel.HostPath(b.run), append([]durable.Option{durable.MakeAll(), durable.Volatile()}, b.durable...)...)
		if err != nil {
			return err
		}
		return errors.Join(work(notes), notes.Close())
	})
}

// readDeeds takes a damaged note for none: then nothing is undone that the host may need.
func readDeeds(notes *durable.Dir, name string) (deeds, error) {
	text, err := notes.Read(name+".json", maxDeeds)
	if errors.Is(err, fs.ErrNotExist) {
		return deeds{}, nil
	}
	if err != nil {
		return deeds{}, err
	}
	var done deeds
	if damaged := json.Unmarshal(text, &done); damaged != nil {
		done = deeds{}
	}
	return done, nil
}

// Leave unmounts a pool that this backend mounted. It is repeated after a failure, from where that was.
func (b *Backend) Leave(ctx context.Context, name string) ([]string, error) {
	pool, err := b.reserved(name)
	if err != nil {
		return nil, err
	}
	done, err := b.deeds(ctx, name)
	if err != nil {
		return nil, err
	}
	if done.Mounted {
		if err := b.Lower(ctx, name); err != nil {
			return nil, err
		}
		return []string{fmt.Sprintf("Unmounted pool %s from %s; its heartbeat has ended.", name, pool.Path)}, nil
	}
	if mount, err := b.mounted(ctx, pool); err == nil && mount != nil {
		return []string{fmt.Sprintf("Left pool %s mounted at %s: the host mounted it, not the plugin.", name, pool.Path)}, nil
	}
	return nil, nil
}

// Disconnect ends an iSCSI session that this backend made, unless something on this node uses a disk of it: a pool, whose heartbeat
// resets the node when it loses the disk, or anything else of the host's.
func (b *Backend) Disconnect(ctx context.Context, name string) ([]string, error) {
	if _, err := b.reserved(name); err != nil {
		return nil, err
	}
	done, err := b.deeds(ctx, name)
	if err != nil || done.Target == "" {
		return nil, err
	}
	what, err := b.poolOf(ctx, name, done.Target)
	if err == nil && what == "" {
		what, err = b.occupied(ctx, done.Target)
	}
	if err != nil {
		return nil, b.slow(settings.Pool{Name: name}, err)
	}
	if what != "" {
		return []string{fmt.Sprintf("Left the session of the iSCSI target %s: %s.", done.Target, what)}, nil
	}
	if err := b.logOut(ctx, name, done); err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("Logged out of the iSCSI target %s.", done.Target)}
	return lines, b.remark(ctx, name, func(done *deeds) { done.Target, done.Portal = "", "" })
}

// poolOf says which pool with its disk in a session is mounted, or ""; one whose disk is in use without being mounted is an error.
func (b *Backend) poolOf(ctx context.Context, name, target string) (string, error) {
	for _, pool := range b.settings.Current().Pools {
		if pool.Name != name && (pool.ISCSI == nil || pool.ISCSI.Target != target) {
			continue
		}
		mount, err := b.mounted(ctx, pool)
		switch {
		case err != nil:
			return "", b.slow(pool, err)
		case mount != nil:
			return fmt.Sprintf("pool %s has its disk there, and is mounted", pool.Name), nil
		}
		if err := b.idle(ctx, pool); err != nil {
			return "", b.slow(pool, err)
		}
	}
	return "", nil
}

// idle refuses a pool whose disk is being checked, or whose file system something on this node still has.
func (b *Backend) idle(ctx context.Context, pool settings.Pool) error {
	device, err := b.device(ctx, pool)
	if err != nil {
		return err
	}
	if device != "" {
		if err := b.unchecked(ctx, pool, device); err != nil {
			return err
		}
	}
	uuid, _, err := b.identify(ctx, pool, device)
	if err != nil {
		return err
	}
	found, err := b.remains(ctx, pool, device, uuid)
	if err == nil && found.any() {
		err = found.failure(pool, uuid)
	}
	return err
}
