package drivertest

import (
	"context"
	"net/netip"

	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// process is what one process of a node's plugin sees of the fake kernel, which all nodes share: its calls are points, and its
// node has a boot id and a view of the cluster of its own.
type process struct {
	*mountertest.Kernel
	*points
	node  *node
	guard mounter.Guard // threads of a process that died are in nobody's way
}

var _ mounter.Mounter = (*process)(nil)

func (p *process) Table(ctx context.Context, side mounter.Side) ([]mounter.Mount, error) {
	if err := p.step("table", ""); err != nil {
		return nil, err
	}
	return p.Kernel.Table(ctx, side)
}

func (p *process) Filesystem(ctx context.Context, place mounter.Place) (mounter.Filesystem, error) {
	if err := p.step("filesystem", place.Path); err != nil {
		return mounter.Filesystem{}, err
	}
	return p.Kernel.Filesystem(ctx, place)
}

func (p *process) Bind(ctx context.Context, bind mounter.Bind) error {
	if err := p.step("bind", bind.Target); err != nil {
		return err
	}
	return p.Kernel.Bind(ctx, bind)
}

func (p *process) MountShare(ctx context.Context, share mounter.Share) error {
	if err := p.step("mount share", share.Source); err != nil {
		return err
	}
	return p.Kernel.MountShare(ctx, share)
}

func (p *process) MountTmpfs(ctx context.Context, spec mounter.Tmpfs) error {
	if err := p.step("mount tmpfs", spec.Target); err != nil {
		return err
	}
	return p.Kernel.MountTmpfs(ctx, spec)
}

func (p *process) Unmount(ctx context.Context, target string) error {
	if err := p.step("unmount", target); err != nil {
		return err
	}
	return p.Kernel.Unmount(ctx, target)
}

func (p *process) Sync(ctx context.Context, place mounter.Place) error {
	if err := p.step("sync", place.Path); err != nil {
		return err
	}
	return p.Kernel.Sync(ctx, place)
}

func (p *process) Users(ctx context.Context, targets []string) (map[string][]mounter.User, error) {
	if err := p.step("users", ""); err != nil {
		return nil, err
	}
	return p.Kernel.Users(ctx, targets)
}

func (p *process) Occupants(ctx context.Context, path, device string) ([]mounter.User, error) {
	if err := p.step("occupants", path); err != nil {
		return nil, err
	}
	return p.Kernel.Occupants(ctx, path, device)
}

func (p *process) OpenFiles(ctx context.Context, targets []string) (map[string][]mounter.OpenFile, error) {
	if err := p.step("open files", ""); err != nil {
		return nil, err
	}
	return p.Kernel.OpenFiles(ctx, targets)
}

func (p *process) Run(ctx context.Context, command mounter.Command) (mounter.Output, error) {
	if err := p.step("run", command.Name); err != nil {
		return mounter.Output{}, err
	}
	return p.Kernel.Run(ctx, command)
}

func (p *process) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if err := p.step("resolve", host); err != nil {
		return nil, err
	}
	return p.Kernel.Resolve(ctx, host)
}

func (p *process) Cluster(ctx context.Context, _ string) (mounter.Cluster, error) {
	if err := p.step("cluster", ""); err != nil {
		return mounter.Cluster{}, err
	}
	return p.node.cluster(ctx), nil
}

func (p *process) BootID() string { return p.node.boot }

func (p *process) Do(ctx context.Context, key string, work func() error) error {
	return p.guard.Do(ctx, key, func() error {
		if err := p.step("do", key); err != nil {
			return err
		}
		return work()
	}, nil)
}
