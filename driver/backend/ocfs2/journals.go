package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

const (
	// uncacheEvery is well below the time from a node's death to the replay of its journal, which is that of O2CB's dead threshold:
	// 12 s at the least that is sensible, 60 s by default (FACTS 2).
	uncacheEvery = 2 * time.Second
	// uncacheLimit bounds each step of a look at a pool. A disk that hangs takes one thread, and no other pool's time.
	uncacheLimit = 10 * time.Second
	// findAgain is when a pool's journals that were not found are looked for again.
	findAgain = time.Minute
	// findAnew is when those that were found are: a pool that was away for less than uncacheEvery, or while the mount table could not
	// be read, may have come back with more slots under the same ID.
	findAnew = 10 * time.Minute
)

// everything is a whole disk.
var everything = []mounter.Part{{}} //nolint:gochecknoglobals // a constant

// Journals keeps this node's page cache free of the other nodes' journals, for each pool that is mounted. When a node dies, another one
// replays its journal, and the kernel reads anew only those blocks of it that are in the cache with buffer heads (fs/ocfs2/journal.c,
// ocfs2_force_read_journal): a page that somebody's read of the disk brought in, as dd's or a backup's, or that may be left of an
// earlier replay, is taken as it is. It is of the past: what the dead node had written after it, with fsync, is lost (FACTS 2). What is read after
// the death is right, since a dead node's journal does not change, so that it is enough to forget it now and then.
type Journals struct {
	kernel   mounter.Mounter
	settings settings.Source
	log      *logrus.Entry

	mu    sync.Mutex // guards what follows; never held while waiting
	pools map[string]*journals
}

// journals are where a mounted pool has them.
type journals struct {
	mount   int // its ID, which the kernel gives to another mount, or to the pool's next one, when this one is gone
	parts   []mounter.Part
	again   time.Time // when to look for them again
	unknown bool      // nothing tells where they are, which was said
	busy    bool
	said    string
}

// NewJournals touches nothing.
func NewJournals(kernel mounter.Mounter, source settings.Source, log *logrus.Entry) *Journals {
	return &Journals{kernel: kernel, settings: source, log: log, pools: map[string]*journals{}}
}

// Run works until the context ends.
func (j *Journals) Run(ctx context.Context) {
	ticker := time.NewTicker(uncacheEvery)
	defer ticker.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		j.uncache(ctx, &running)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// uncache looks at every pool that is mounted, all at the same time.
func (j *Journals) uncache(ctx context.Context, running *sync.WaitGroup) {
	limited, cancel := context.WithTimeout(ctx, uncacheLimit)
	defer cancel()
	table, err := j.kernel.Table(limited, mounter.Host)
	if err != nil {
		return // every look at a pool fails, and says so
	}
	mounted := map[string]bool{}
	for _, pool := range j.settings.Current().Pools {
		for _, mount := range table {
			if mount.Target != pool.Path || mount.FSType != "ocfs2" {
				continue
			}
			mounted[pool.Name] = true
			if known := j.take(pool.Name, mount.ID); known != nil {
				running.Go(func() { j.look(ctx, pool.Name, mount, known) })
			}
		}
	}
	j.leave(mounted)
}

// leave has all other pools begin anew when they are mounted again: with more slots, or formatted, they have other journals.
func (j *Journals) leave(mounted map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	maps.DeleteFunc(j.pools, func(pool string, _ *journals) bool { return !mounted[pool] })
}

// take gives a pool that nobody is looking at.
func (j *Journals) take(pool string, mount int) *journals {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := j.pools[pool]
	if known == nil || known.mount != mount && !known.busy {
		known = &journals{mount: mount, parts: everything}
		j.pools[pool] = known
	}
	if known.busy {
		return nil
	}
	known.busy = true
	return known
}

// look forgets one pool's journals; the whole disk's metadata when nothing tells where they are.
func (j *Journals) look(ctx context.Context, pool string, mount mounter.Mount, known *journals) {
	log := j.log.WithField("pool", pool)
	if time.Now().After(known.again) {
		_ = j.forget(ctx, mount, known.parts) // finding them takes a moment; what fails is told below
		j.locate(ctx, mount.Source, known, log)
	}
	said := ""
	if err := j.forget(ctx, mount, known.parts); err != nil {
		if said = err.Error(); said != known.said {
			log.WithError(err).Warn("the cache may have old blocks of other nodes' journals: rows that a node wrote before its death might be lost")
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	known.said, known.busy = said, false
}

// forget gives no error of a disk that does not answer, or when the plugin ends.
func (j *Journals) forget(ctx context.Context, mount mounter.Mount, parts []mounter.Part) error {
	ctx, cancel := context.WithTimeout(ctx, uncacheLimit)
	defer cancel()
	if err := j.kernel.Uncache(ctx, mount, parts); ctx.Err() == nil {
		return err
	}
	return nil
}

// locate looks for a pool's journals. While nothing tells where they are now, where they were is not trusted.
func (j *Journals) locate(ctx context.Context, device string, known *journals, log *logrus.Entry) {
	limited, cancel := context.WithTimeout(ctx, uncacheLimit)
	defer cancel()
	parts, err := j.find(limited, device)
	if err == nil {
		known.parts, known.again, known.unknown = parts, time.Now().Add(findAnew), false
		return
	}
	if !known.unknown && ctx.Err() == nil { // else the plugin ends
		log.WithError(err).Warn("where the pool's journals are is not known: all that this node has cached of the disk's metadata is dropped every two seconds")
	}
	known.parts, known.again, known.unknown = everything, time.Now().Add(findAgain), true
}

// find asks the disk where the journals of all its slots are.
func (j *Journals) find(ctx context.Context, device string) (parts []mounter.Part, err error) {
	text, err := j.debugfs(ctx, device, "stats")
	if err != nil {
		return nil, err
	}
	var numbers [3]int
	for i, key := range []string{"Block Size Bits", "Cluster Size Bits", "Max Node Slots"} {
		if numbers[i], err = numberAfter(text, key); err != nil {
			return nil, err
		}
	}
	for slot := range numbers[2] {
		text, err := j.debugfs(ctx, device, fmt.Sprintf("stat //journal:%04d", slot))
		if err != nil {
			return nil, err
		}
		found, err := extents(text, numbers[0], numbers[1])
		if err != nil {
			return nil, fmt.Errorf("journal %d: %w", slot, err)
		}
		parts = append(parts, found...)
	}
	return parts, nil
}

// debugfs asks debugfs.ocfs2(8) of the host one thing. It reads past the cache.
func (j *Journals) debugfs(ctx context.Context, device, request string) (string, error) {
	output, err := j.kernel.Run(ctx, mounter.Command{Name: "debugfs.ocfs2", Args: []string{"-R", request, device}})
	if err != nil {
		return "", fmt.Errorf("run the host's debugfs.ocfs2: %w", err)
	}
	if output.Code != 0 {
		return "", fmt.Errorf("debugfs.ocfs2 -R %q %s: %s (exit code %d)", request, device, last(output.Stdout+output.Stderr), output.Code)
	}
	return output.Stdout, nil
}

// maxNumber is more than any of them: 255 slots, and clusters of 1 MiB.
const maxNumber = 255

// numberAfter reads "Key: 12".
func numberAfter(text, key string) (int, error) {
	_, rest, found := strings.Cut(text, key+":")
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return 0, fmt.Errorf("debugfs.ocfs2 does not say %q", key)
	}
	value, err := strconv.Atoi(fields[0])
	if err != nil || value < 1 || value > maxNumber {
		return 0, fmt.Errorf("debugfs.ocfs2 says %q of %q", fields[0], key)
	}
	return value, nil
}

// extentLine is "0  0  8192  529  0x0": number, offset, clusters, block, flags.
var extentLine = regexp.MustCompile(`^\s*\d+\s+\d+\s+(\d+)\s+(\d+)\s+0x[0-9a-fA-F]+\s*$`)

// extents reads where a file is on the disk, of what debugfs.ocfs2 says of it.
func extents(text string, blockBits, clusterBits int) (parts []mounter.Part, err error) {
	for line := range strings.Lines(text) {
		match := extentLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if match == nil {
			continue
		}
		clusters, err := strconv.ParseInt(match[1], 10, 32)
		if err != nil {
			return nil, err
		}
		block, err := strconv.ParseInt(match[2], 10, 48) //nolint:mnd // a block's number has at most so many bits (ocfs2_fs.h)
		if err != nil {
			return nil, err
		}
		parts = append(parts, mounter.Part{Offset: block << blockBits, Length: clusters << clusterBits})
	}
	if len(parts) == 0 {
		return nil, errors.New("debugfs.ocfs2 names no extent")
	}
	return parts, nil
}
