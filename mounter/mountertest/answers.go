package mountertest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// SetBusy makes Unmount of a target fail with EBUSY, as an open file in the plugin's own namespace does.
func (k *Kernel) SetBusy(target string, busy bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy[target] = busy
}

// SetUsers sets what Users says of a target.
func (k *Kernel) SetUsers(target string, users ...mounter.User) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.users[target] = users
}

// SetOpenFiles sets what OpenFiles says of a target.
func (k *Kernel) SetOpenFiles(target string, files ...mounter.OpenFile) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.openFiles[target] = files
}

// SetProgram installs a program of the host. One that is not installed cannot be run: ENOENT.
func (k *Kernel) SetProgram(name string, program Program) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.programs[name] = program
}

// SetAddresses sets what a host name resolves to. Other names are not found.
func (k *Kernel) SetAddresses(host string, addresses ...netip.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addresses[host] = addresses
}

// SetCluster sets the cluster's state as seen for one pool, by its UUID. For other pools there is no cluster.
func (k *Kernel) SetCluster(poolUUID string, cluster mounter.Cluster) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.clusters[poolUUID] = cluster
}

// Reboot changes the boot id and takes every mount of both namespaces away, except for
// their roots, and forgets busy targets, users and clusters.
func (k *Kernel) Reboot(bootID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.boot = bootID
	clear(k.busy)
	clear(k.users)
	clear(k.openFiles)
	clear(k.clusters)
	for index, m := range slices.Backward(k.mounts) {
		if m.entry.Target != "/" {
			k.detach(index)
		}
	}
}

// BootID is 11111111-2222-4333-8444-555555555555 until Reboot.
func (k *Kernel) BootID() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.boot
}

// Sync does nothing to an existing directory.
func (k *Kernel) Sync(ctx context.Context, place mounter.Place) error {
	action := Action{Op: OpSync, Side: place.Side, Target: place.Path}
	return k.call(ctx, action, placeKey("sync", place), func() error {
		_, err := os.Stat(k.realPath(place))
		if err != nil {
			return errno(err)
		}
		return nil
	}, nil)
}

// Uncache is only noted.
func (k *Kernel) Uncache(ctx context.Context, disk mounter.Mount, parts []mounter.Part) error {
	action := Action{Op: OpUncache, Target: disk.Source}
	for _, part := range parts {
		action.Args = append(action.Args, fmt.Sprint(part.Offset, "+", part.Length))
	}
	return k.call(ctx, action, "uncache "+disk.Source, func() error { return nil }, nil)
}

// Users gives what SetUsers set; a target without users is not in the map.
func (k *Kernel) Users(ctx context.Context, targets []string) (map[string][]mounter.User, error) {
	users := map[string][]mounter.User{}
	err := k.call(ctx, Action{Op: OpUsers, Args: slices.Clone(targets)}, "", func() error {
		for _, target := range targets {
			if len(k.users[target]) > 0 {
				users[target] = slices.Clone(k.users[target])
			}
		}
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return users, nil
}

// OpenFiles gives what SetOpenFiles set; a target without files is not in the map.
func (k *Kernel) OpenFiles(ctx context.Context, targets []string) (map[string][]mounter.OpenFile, error) {
	files := map[string][]mounter.OpenFile{}
	err := k.call(ctx, Action{Op: OpOpenFiles, Args: slices.Clone(targets)}, "", func() error {
		for _, target := range targets {
			if len(k.openFiles[target]) > 0 {
				files[target] = slices.Clone(k.openFiles[target])
			}
		}
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return files, nil
}

// Occupants gives what SetUsers set for the path and for the device.
func (k *Kernel) Occupants(ctx context.Context, path, device string) ([]mounter.User, error) {
	var found []mounter.User
	err := k.call(ctx, Action{Op: OpOccupants, Target: path, Source: device}, "", func() error {
		found = slices.Concat(k.users[path], k.users[device])
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Run runs what SetProgram installed.
func (k *Kernel) Run(ctx context.Context, command mounter.Command) (mounter.Output, error) {
	var output mounter.Output
	action := Action{Op: OpRun, Target: command.Name, Args: slices.Clone(command.Args)}
	err := k.callUnlocked(ctx, action, "", func() (err error) {
		k.mu.Lock()
		program := k.programs[command.Name]
		k.mu.Unlock()
		if program == nil {
			return unix.ENOENT
		}
		output, err = program(context.WithoutCancel(ctx), command)
		return err
	}, nil)
	if err != nil {
		return mounter.Output{}, err
	}
	return output, nil
}

// Resolve gives what SetAddresses set.
func (k *Kernel) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}, nil
	}
	var addresses []netip.Addr
	err := k.call(ctx, Action{Op: OpResolve, Target: host}, "", func() error {
		addresses = slices.Clone(k.addresses[host])
		if addresses == nil {
			return mounter.ErrNoAddress
		}
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return addresses, nil
}

// Cluster gives what SetCluster set.
func (k *Kernel) Cluster(ctx context.Context, poolUUID string) (mounter.Cluster, error) {
	var cluster mounter.Cluster
	err := k.call(ctx, Action{Op: OpCluster, Target: poolUUID}, "", func() error {
		cluster = k.clusters[poolUUID]
		cluster.Nodes = maps.Clone(cluster.Nodes)
		cluster.Live = slices.Clone(cluster.Live)
		return nil
	}, nil)
	if err != nil {
		return mounter.Cluster{}, err
	}
	return cluster, nil
}

// Do runs the work.
func (k *Kernel) Do(ctx context.Context, key string, work func() error) error {
	return k.callUnlocked(ctx, Action{Op: OpDo, Target: key}, "do "+key, work, nil)
}
