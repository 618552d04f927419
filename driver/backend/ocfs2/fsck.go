package ocfs2

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

const (
	// fsckLimit is for a pool of many terabytes.
	fsckLimit = 12 * time.Hour
	// maxFindings of a check are told; it may find thousands.
	maxFindings = 20
	// fsckRepaired is the highest exit code of a check that ended well (fsck.ocfs2(8)): 0 nothing to repair, 1 repaired, 2 repaired
	// and to be rebooted when it is the root file system. A check alone ends with 0 also when it finds something.
	fsckRepaired = 2
)

// finding is the line of one inconsistency, as fsck.ocfs2.checks(8) lists them: "[INODE_NLINKS] Inode 5 ...".
var finding = regexp.MustCompile(`(?m)^\[[A-Z0-9_]+\] .*$`)

// CheckDisk has the host's fsck.ocfs2 look at a pool that is not mounted, all of it, and repair what it finds if asked to. The
// error is a sentence when the check did not end well, or when something is in the way.
func (b *Backend) CheckDisk(ctx context.Context, name string, repair bool) (backend.Verdict, error) {
	pool, err := b.reserved(name)
	if err != nil {
		return backend.Verdict{}, err
	}
	device, err := b.ready(ctx, pool, repair)
	if err != nil {
		return backend.Verdict{}, err
	}
	flags := "-fn"
	if repair {
		flags = "-fy"
	}
	output, err := b.kernel.Run(ctx, mounter.Command{Name: "fsck.ocfs2", Args: []string{flags, device}, Limit: fsckLimit})
	if err != nil {
		return backend.Verdict{}, b.slow(pool, fmt.Errorf("run the host's fsck.ocfs2: %w", err))
	}
	verdict := backend.Verdict{Command: "fsck.ocfs2 " + flags + " " + device, Findings: finding.FindAllString(output.Stdout, -1)}
	verdict.Count = len(verdict.Findings)
	verdict.Findings = verdict.Findings[:min(verdict.Count, maxFindings)]
	if output.Code > fsckRepaired {
		said := last(output.Stderr)
		if said == "" || strings.HasPrefix(said, "fsck.ocfs2 ") { // only its version
			said = last(output.Stdout)
		}
		return verdict, fail(pool, "%s ended with code %d: %s", verdict.Command, output.Code, said)
	}
	return verdict, nil
}

// ready says that nothing keeps the disk from being checked, and which it is.
func (b *Backend) ready(ctx context.Context, pool settings.Pool, repair bool) (string, error) {
	mount, err := b.mounted(ctx, pool)
	if err != nil {
		return "", b.slow(pool, err)
	}
	if mount != nil {
		return "", fail(pool, "it is mounted at %s, and is checked when it is not; somebody has mounted it again", pool.Path)
	}
	device, err := b.connect(ctx, pool)
	if err != nil {
		return "", err
	}
	if err := b.unchecked(ctx, pool, device); err != nil {
		return "", err
	}
	if !repair {
		return device, nil
	}
	others, err := b.onDisk(ctx, pool)
	if err == nil && len(others) > 0 {
		err = fail(pool, "it is not repaired while other nodes have it mounted: %s. Drain it there first (docker homelab drain %s --hold); "+
			"a node that died is listed until another one has mounted the pool", strings.Join(others, ", "), pool.Name)
	}
	return device, err
}

// unchecked refuses a disk that a program of the host's ocfs2-tools changes or checks: a check of an earlier run of the plugin goes on without it.
func (b *Backend) unchecked(ctx context.Context, pool settings.Pool, device string) error {
	occupants, err := b.kernel.Occupants(ctx, b.real(device), "")
	if err != nil {
		return b.slow(pool, err)
	}
	for _, one := range occupants {
		if slices.Contains([]string{"fsck.ocfs2", "tunefs.ocfs2", "mkfs.ocfs2"}, one.Name) {
			return fail(pool, "%s works on its disk %s (process %d); try again when it has ended", one.Name, device, one.PID)
		}
	}
	return nil
}
