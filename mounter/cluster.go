package mounter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clusterFolder is where the o2cb stack shows its cluster, of which there can be one (fs/ocfs2/cluster/nodemanager.c).
const clusterFolder = "/sys/kernel/config/cluster"

// maxAttribute is the size of a configfs or debugfs page.
const maxAttribute = 4096

// Cluster reads configfs on the host, and the state of the pool's own heartbeat region from debugfs, which is mounted for
// the moment and nowhere visible. A node without a cluster has the zero Cluster.
func (l *Linux) Cluster(ctx context.Context, poolUUID string) (Cluster, error) {
	var cluster Cluster
	err := l.guard.Do(ctx, "cluster", func() error {
		err := l.onHost(func() (err error) {
			cluster, err = l.readCluster(clusterFolder, poolUUID)
			return err
		})
		if err != nil || !cluster.Region {
			return err
		}
		l.readRegion(&cluster, poolUUID)
		return nil
	}, nil)
	if err != nil {
		return Cluster{}, asked(err, "cluster", "", poolUUID)
	}
	return cluster, nil
}

// readCluster reads the attributes of the cluster below a configfs folder.
func (l *Linux) readCluster(root, poolUUID string) (Cluster, error) {
	var cluster Cluster
	err := l.calls.do("configfs", func() error {
		names, err := os.ReadDir(root)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		cluster, err = clusterIn(path.Join(root, names[0].Name()), poolUUID)
		return err
	})
	return cluster, err
}

func clusterIn(folder, poolUUID string) (Cluster, error) {
	cluster := Cluster{Name: path.Base(folder), Node: -1, Nodes: map[string]int{}}
	var err error
	if cluster.DeadThreshold, err = readNumber(path.Join(folder, "heartbeat/dead_threshold")); err != nil {
		return Cluster{}, err
	}
	idle, err := readNumber(path.Join(folder, "idle_timeout_ms"))
	if err != nil {
		return Cluster{}, err
	}
	cluster.IdleTimeout = time.Duration(idle) * time.Millisecond
	if err := cluster.readNodes(path.Join(folder, "node")); err != nil {
		return Cluster{}, err
	}
	_, err = os.Stat(path.Join(folder, "heartbeat", poolUUID))
	cluster.Region = err == nil && isUUID(poolUUID)
	return cluster, nil
}

// readNodes reads node/*/{num,local}.
func (c *Cluster) readNodes(folder string) error {
	names, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		node, err := readNumber(path.Join(folder, name.Name(), "num"))
		if err != nil {
			return err
		}
		local, err := readNumber(path.Join(folder, name.Name(), "local"))
		if err != nil {
			return err
		}
		c.Nodes[name.Name()] = node
		if local == 1 {
			c.Node = node
		}
	}
	return nil
}

// readRegion adds what debugfs tells of a region. What it does not tell stays unknown, which is not the same as nobody.
func (l *Linux) readRegion(cluster *Cluster, poolUUID string) {
	log := l.log.WithField("pool_uuid", poolUUID)
	tree, err := l.calls.fileSystem("debugfs", nil, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		log.WithError(err).Warn("debugfs cannot be read: live nodes and the heartbeat's age are unknown")
		return
	}
	defer func() { _ = tree.Close() }()
	// The region's own folder; o2hb/livenodes is about all regions together (fs/ocfs2/cluster/heartbeat.c).
	folder := "o2hb/" + poolUUID
	live, err := l.attribute(number(tree), folder+"/livenodes")
	if err != nil {
		log.WithError(err).Warn("the heartbeat region is not in debugfs: live nodes are unknown")
	}
	cluster.Live = readLive(live)
	// It counts from the last own heartbeat that reached the disk, or is 0 before the first one.
	elapsed, err := l.attribute(number(tree), folder+"/elapsed_time_in_ms")
	if err != nil {
		log.WithError(err).Warn("the heartbeat's age is not in debugfs: a disk that hangs is noticed late")
	}
	cluster.Silent = readElapsed(elapsed)
}

// attribute reads a small file below an open folder.
func (l *Linux) attribute(folder int, name string) (string, error) {
	file, err := l.calls.open("openat", func() (int, error) {
		return unix.Openat(folder, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxAttribute))
	return string(text), err
}

// readElapsed parses "1234\n", milliseconds; 0 when the text is anything else.
func readElapsed(text string) time.Duration {
	line, complete := strings.CutSuffix(text, "\n")
	elapsed, err := strconv.ParseUint(line, 10, 31)
	if err != nil || !complete {
		return 0
	}
	return time.Duration(elapsed) * time.Millisecond
}

// readLive parses "0 1 2 \n"; nil when the text is anything else.
func readLive(text string) []int {
	if !strings.HasSuffix(text, "\n") {
		return nil
	}
	live := []int{}
	for field := range strings.FieldsSeq(text) {
		node, err := strconv.Atoi(field)
		if err != nil || node < 0 {
			return nil
		}
		live = append(live, node)
	}
	return live
}

func readNumber(name string) (int, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return value, nil
}

// isUUID keeps anything but 32 hexadecimal digits from becoming part of a path.
func isUUID(text string) bool {
	return len(text) == ocfs2UUIDLength && strings.Trim(text, "0123456789ABCDEFabcdef") == ""
}
