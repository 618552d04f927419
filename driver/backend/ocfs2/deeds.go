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

// Leave undoes what was done to bring a pool up. It is repeated after a failure, from where that was.
func (b *Backend) Leave(ctx context.Context, name string) ([]string, error) {
	pool, err := b.reserved(name)
	if err != nil {
		return nil, err
	}
	done, err := b.deeds(ctx, name)
	if err != nil {
		return nil, err
	}
	var lines []string
	if done.Mounted {
		if err := b.Lower(ctx, name); err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("Unmounted pool %s from %s; its heartbeat has ended.", name, pool.Path))
		if err := b.remark(ctx, name, func(done *deeds) { done.Mounted = false }); err != nil {
			return lines, err
		}
	} else if mount, err := b.mounted(ctx, pool); err == nil && mount != nil {
		return append(lines, fmt.Sprintf("Left pool %s mounted at %s: the host mounted it, not the plugin.", name, pool.Path)), nil
	}
	if done.Target == "" {
		return lines, nil
	}
	if err := b.logOut(ctx, pool, done); err != nil {
		return lines, err
	}
	lines = append(lines, fmt.Sprintf("Logged out of the iSCSI target %s.", done.Target))
	return lines, b.remark(ctx, name, func(done *deeds) { done.Target, done.Portal = "", "" })
}

// logOut ends the iSCSI session, unless a check of the disk goes on.
func (b *Backend) logOut(ctx context.Context, pool settings.Pool, done deeds) error {
	device, err := b.device(ctx, pool)
	if err == nil && device != "" {
		err = b.unchecked(ctx, pool, device)
	}
	if err != nil {
		return b.slow(pool, err)
	}
	output, err := b.kernel.Run(ctx, mounter.Command{
		Name: "iscsiadm", Args: []string{"-m", "node", "-T", done.Target, "-p", done.Portal, "--logout"}, Limit: loginLimit,
	})
	if err != nil {
		return b.slow(pool, err)
	}
	if output.Code != 0 && output.Code != noSession {
		return fail(pool, "the iSCSI session to %s is still there (%s); end it with: iscsiadm -m node -T %s -p %s --logout", done.Target, last(output.Stderr), done.Target, done.Portal)
	}
	return nil
}

// noSession is ISCSI_ERR_NO_OBJS_FOUND (open-iscsi, iscsi_err.h).
const noSession = 21
