package ocfs2

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Retired refuses to go on while a pool is mounted that this backend mounted and that the configuration does not name any more: nobody
// else would unmount it before the node goes down. One whose path another pool has by now was renamed, and is that pool's.
func (b *Backend) Retired(ctx context.Context) error {
	noted, err := b.noted(ctx)
	if err != nil {
		return err
	}
	pools := b.settings.Current().Pools
	for _, name := range noted {
		if slices.ContainsFunc(pools, func(pool settings.Pool) bool { return pool.Name == name }) {
			continue
		}
		done, err := b.deeds(ctx, name)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(pools, func(pool settings.Pool) bool { return pool.Path == done.Path }); i >= 0 {
			if err := b.inherit(ctx, pools[i].Name, name, done); err != nil {
				return err
			}
			continue
		}
		pool := settings.Pool{Name: name, Path: done.Path}
		mount, err := b.mounted(ctx, pool)
		if err != nil {
			return b.slow(pool, err)
		}
		if done.Mounted && mount != nil {
			return fail(pool, "the configuration does not name it any more, but it is still mounted at %s, by the plugin: unmount it (umount %[1]s)", done.Path)
		}
	}
	return nil
}

// inherit takes the note of a renamed pool over.
func (b *Backend) inherit(ctx context.Context, heir, name string, from deeds) error {
	if from == (deeds{}) {
		return nil
	}
	err := b.remark(ctx, heir, func(done *deeds) {
		done.Mounted, done.Path = done.Mounted || from.Mounted, from.Path
		if done.UUID == "" {
			done.UUID = from.UUID
		}
		if done.Target == "" {
			done.Target, done.Portal = from.Target, from.Portal
		}
	})
	if err != nil {
		return err
	}
	return b.remark(ctx, name, func(done *deeds) { *done = deeds{} })
}

// noted are the names of the pools that there is a note of.
func (b *Backend) noted(ctx context.Context) (names []string, err error) {
	err = b.withNotes(ctx, "all pools", func(notes *durable.Dir) error {
		entries, err := notes.List(".")
		if err != nil {
			return err
		}
		names = noteNames(entries)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was done for pools: %w", err)
	}
	return names, nil
}

func noteNames(entries []fs.DirEntry) []string {
	var names []string
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	return names
}
