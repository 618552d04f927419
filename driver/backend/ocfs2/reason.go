package ocfs2

import (
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// hints are reasons that mount.ocfs2 or the kernel's log gives (FACTS 2), and what to do.
//
//nolint:gochecknoglobals // a constant table
var hints = []struct{ text, advice string }{
	{"no free slots available", "all node slots are in use: add one with `tunefs.ocfs2 -N <number> DEVICE` while no node has it mounted"},
	{"heartbeat timeout", "the nodes' heartbeat timeouts differ: set O2CB_HEARTBEAT_THRESHOLD to the same value on every node"},
	{"idle timeout", "the nodes' network timeouts differ: set O2CB_IDLE_TIMEOUT_MS to the same value on every node"},
	{"unknown node", "this node is not in the cluster's node list: make /etc/ocfs2/cluster.conf the same on every node"},
	{"Unable to access cluster service", "the cluster is not online: systemctl start o2cb (and enable it)"},
	{"cluster service", "the cluster is not online: systemctl start o2cb (and enable it)"},
	{"unknown filesystem type", "this node has no OCFS2: apt-get install ocfs2-tools and load the kernel's module ocfs2"},
}

// reason puts together what the program and the kernel's log say, of which what is older than the attempt is left out (began is the
// node's uptime then).
func (b *Backend) reason(ctx context.Context, output mounter.Output, began time.Duration) string {
	said := last(output.Stderr)
	if said == "" {
		said = fmt.Sprintf("exit code %d and no text", output.Code)
	}
	var lines []string
	if kernel, err := b.kernel.Run(ctx, mounter.Command{Name: "dmesg"}); err == nil {
		lines = strings.Split(strings.TrimSpace(kernel.Stdout), "\n")
	}
	for _, line := range slices.Backward(lines) {
		if logged(line) < began {
			break
		}
		if advice := hint(line); advice != "" {
			return said + "; " + advice
		}
	}
	if advice := hint(output.Stderr); advice != "" {
		return said + "; " + advice
	}
	return said + "; see `dmesg`"
}

// hint is the advice for a text, or "".
func hint(text string) string {
	for _, one := range hints {
		if strings.Contains(text, one.text) {
			return one.advice
		}
	}
	return ""
}

// uptime is how long the node is up, from which the kernel's log counts; 0 when it is not told.
func (b *Backend) uptime(ctx context.Context) time.Duration {
	var up time.Duration
	err := b.kernel.Do(ctx, "uptime", func() error {
		text, err := os.ReadFile(b.kernel.HostPath("/proc/uptime"))
		first, _, _ := strings.Cut(string(text), " ")
		seconds, wrong := strconv.ParseFloat(first, 64)
		if err == nil && wrong == nil {
			up = time.Duration(seconds * float64(time.Second))
		}
		return nil
	})
	if err != nil { // else the work may still be writing to up
		return 0
	}
	return up
}

// kernelTime is when a line of dmesg(1) was logged, in seconds since the boot.
var kernelTime = regexp.MustCompile(`^\[ *([0-9]+\.[0-9]+)\]`)

// logged is when a line was logged; a line without a time belongs to the one that follows.
func logged(line string) time.Duration {
	found := kernelTime.FindStringSubmatch(line)
	if found == nil {
		return math.MaxInt64
	}
	seconds, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return math.MaxInt64
	}
	return time.Duration(seconds * float64(time.Second))
}

// last is the last line that is not empty.
func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
