package holder

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// In the state folder.
const (
	pendingDir   = "pending"
	instanceFile = "instance"
	maxInstance  = 256
)

// pending is a release that is not finished.
type pending struct {
	Version  int       `json:"version"`
	PoolUUID string    `json:"pool_uuid"`
	Subdir   string    `json:"subdir"`
	Volume   string    `json:"volume"`
	Instance string    `json:"instance"`
	Since    time.Time `json:"since"`
}

func pendingFile(poolUUID, subdir, volume, instance string) string {
	return pendingDir + "/" + backend.DirectoryKey(strings.Join([]string{poolUUID, subdir, volume, instance}, "\x00")) + ".json"
}

func (k *Keeper) pendingName(directory Directory, volume string) string {
	return pendingFile(directory.Pool.UUID, directory.Subdir, volume, k.options.Instance)
}

// identify sets the instance: the given one, or the one that was made at the first start.
func (k *Keeper) identify() error {
	if k.options.Instance != "" {
		return nil
	}
	data, err := k.state.Read(instanceFile, maxInstance)
	switch {
	case err == nil && len(strings.TrimSpace(string(data))) > 0:
		k.options.Instance = strings.TrimSpace(string(data))
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read this plugin's instance: %w", err)
	}
	k.options.Instance = strings.ToLower(rand.Text())
	return k.state.Write(instanceFile, []byte(k.options.Instance+"\n"))
}

// loadPending reads the releases of this instance that are not finished. A file that cannot be read is reported and left: the
// hold it stands for is found when the records are listed.
func (k *Keeper) loadPending() error {
	if err := k.state.Mkdir(pendingDir); err != nil {
		return err
	}
	entries, err := k.state.List(pendingDir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if durable.IsTemporary(entry.Name()) {
			continue
		}
		file := pendingDir + "/" + entry.Name()
		data, err := k.state.Read(file, MaxRecord)
		if err == nil && len(data) == 0 { // cut off with the power, and the hold ended with that boot
			if err := k.state.Unlink(file); err != nil {
				return err
			}
			continue
		}
		var left pending
		if err == nil {
			err = json.Unmarshal(data, &left)
		}
		if err != nil || left.Version != Version {
			k.options.Log.WithError(err).WithField("file", file).Warn("a pending release cannot be read")
			continue
		}
		if left.Instance == k.options.Instance {
			k.pending[pendingFile(left.PoolUUID, left.Subdir, left.Volume, left.Instance)] = left
		}
	}
	return nil
}

// Intend records on the node that a hold is going to be released. Call it before the file system is synced, so that a hang
// or a crash from there on frees the directory late and never early. The record outlives this process and costs no fsync: a
// power cut ends the boot, and with it the hold. The error matches [ErrUnrecorded].
func (k *Keeper) Intend(directory Directory, volume string) error {
	name := k.pendingName(directory, volume)
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, has := k.pending[name]; has {
		return nil
	}
	left := pending{
		Version: Version, PoolUUID: directory.Pool.UUID, Subdir: directory.Subdir, Volume: volume,
		Instance: k.options.Instance, Since: k.options.Now().UTC(),
	}
	text, err := encode(left)
	if err == nil {
		err = k.state.Write(name, text)
	}
	if err != nil {
		return fmt.Errorf("%w of directory %q of pool %s: %w", ErrUnrecorded, directory.Subdir, directory.Pool.Name, err)
	}
	k.pending[name] = left
	return nil
}

func (k *Keeper) isPending(directory Directory, volume string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, has := k.pending[k.pendingName(directory, volume)]
	return has
}

// forgetPending takes an intent back: the hold is released, or wanted again.
func (k *Keeper) forgetPending(directory Directory, volume string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropPending(directory, volume)
}

// want is forgetPending for a join. One whose caller has given up wants nothing any more, and must leave the intent that says so
// alone: the caller records it after its context has ended, under the same mutex.
func (k *Keeper) want(ctx context.Context, directory Directory, volume string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return k.dropPending(directory, volume)
}

// dropPending takes an intent off the disk and then out of memory. Its caller has mu.
func (k *Keeper) dropPending(directory Directory, volume string) error {
	name := k.pendingName(directory, volume)
	if _, has := k.pending[name]; !has {
		return nil
	}
	if err := k.state.Remove(name); err != nil {
		return fmt.Errorf("forget the release of directory %q: %w", directory.Subdir, err)
	}
	delete(k.pending, name)
	return nil
}

// pendingOf lists the unfinished releases of a pool, oldest first.
func (k *Keeper) pendingOf(poolUUID string) []pending {
	k.mu.Lock()
	defer k.mu.Unlock()
	var of []pending
	for _, left := range k.pending {
		if left.PoolUUID == poolUUID {
			of = append(of, left)
		}
	}
	slices.SortFunc(of, func(a, b pending) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Subdir, b.Subdir), cmp.Compare(a.Volume, b.Volume))
	})
	return of
}

// Pending lists the volumes whose release is not finished, by pool UUID.
func (k *Keeper) Pending() map[string][]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	volumes := map[string][]string{}
	for _, left := range k.pending {
		volumes[left.PoolUUID] = append(volumes[left.PoolUUID], left.Volume)
	}
	for _, list := range volumes {
		slices.Sort(list)
	}
	return volumes
}
