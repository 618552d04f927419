package shares

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/guard"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// margin is how much earlier than its caller's time a look ends, so that what it found by then is heard: of work whose caller has gone
// nothing is.
const margin = 5 * time.Second

// Look reads what is open in a volume, and looks through all of it when that is due. It holds nothing while it waits, for as long as
// the context lets it; a share that does not answer costs one thread, for all of its volumes, and is an error that matches
// backend.ErrUnavailable. A volume
// that is not mounted is passed over.
func (g *Guard) Look(ctx context.Context, record catalog.Record) error {
	mount, directory, err := g.beside(ctx, record.Name)
	if err != nil || mount == "" {
		return err // it was unmounted meanwhile
	}
	if err := g.answers(ctx, mount); err != nil {
		return err
	}
	known, now := g.states.of(record.Name), g.options.Now()
	var open, found guard.Finding
	through, answered := known.through(now), false
	brief, cancel := briefer(ctx)
	defer cancel()
	err = g.do(ctx, record, func() (err error) {
		if open, err = guard.Among(brief, directory, paths(known.writes)); err != nil {
			return err
		}
		if answered = true; !through {
			return nil
		}
		seen, err := guard.Scan(brief, directory, guard.Thorough())
		found = seen.Found
		return err
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	g.states.change(record.Name, func(one *state) {
		one.checked = now
		if answered { // else the time was over first: what was open is taken for open still
			one.open, one.by = open, opener(known.writes, open)
		}
		if !through {
			return
		}
		one.looks++
		one.next = now.Add(pause(one.looks))
		if err == nil || found.Path != "" { // a look that was cut short says nothing of what it did not reach
			one.found = found
		}
	})
	g.tellFound(record.Name)
	g.tellOpen(record.Name)
	return nil
}

// briefer ends a margin before a context does.
func briefer(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(margin, time.Until(end)/2)))
}

// answers asks a mount's server whether it is there. The threads that may hang are few, for all work of this process ([mounter.Guard]): a
// server that is gone takes one of them, and not one for each volume whose turn it is.
func (g *Guard) answers(ctx context.Context, mount string) error {
	return unavailable(g.options.Kernel.Do(ctx, "guard share "+mount, func() error {
		var ignored syscall.Statfs_t
		_ = syscall.Statfs(mount, &ignored) // what is wrong with a mount that answers, the look says
		return nil
	}))
}

// beside is a mounted volume's directory as the share's own mount has it, and that mount, so that the volume can be unmounted during a look.
func (g *Guard) beside(ctx context.Context, name string) (mount, directory string, err error) {
	table, err := g.options.Kernel.Table(ctx, mounter.Plugin)
	if err != nil {
		return "", "", fmt.Errorf("reading the mount table: %w", err)
	}
	volume := slices.IndexFunc(table, func(line mounter.Mount) bool { return line.Target == g.target(name) })
	if volume < 0 {
		return "", "", nil
	}
	share := slices.IndexFunc(table, func(line mounter.Mount) bool {
		return line.Device == table[volume].Device && line.Root == "/" && path.Dir(line.Target) != g.options.MountRoot
	})
	if share < 0 {
		return g.target(name), g.target(name), nil
	}
	return table[share].Target, path.Join(table[share].Target, table[volume].Root), nil
}

// do does file work in a volume. A server that does not answer is an error that matches backend.ErrUnavailable.
func (g *Guard) do(ctx context.Context, record catalog.Record, work func() error) error {
	return unavailable(g.options.Kernel.Do(ctx, "guard "+record.ID, work))
}

func unavailable(err error) error {
	if errors.Is(err, mounter.ErrStuck) || errors.Is(err, mounter.ErrBusy) {
		return fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
	}
	return err
}

func paths(files []mounter.OpenFile) []string {
	var names []string
	for _, file := range files {
		names = append(names, file.Path)
	}
	return names
}

// opener is who has a database open.
func opener(files []mounter.OpenFile, open guard.Finding) mounter.OpenFile {
	if i := slices.IndexFunc(files, func(file mounter.OpenFile) bool { return file.Path == open.Path }); i >= 0 && open.Path != "" {
		return files[i]
	}
	return mounter.OpenFile{}
}
