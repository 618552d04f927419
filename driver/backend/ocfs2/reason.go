package ocfs2

import (
	"context"
	"fmt"
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

// reason puts together what the program and the kernel's log say, of which what was logged before the attempt is left out.
func (b *Backend) reason(ctx context.Context, output mounter.Output, before time.Duration) string {
	said := last(output.Stderr)
	if said == "" {
		said = fmt.Sprintf("exit code %d and no text", output.Code)
	}
	for _, line := range slices.Backward(b.kernelLog(ctx)) {
		if at, ok := logged(line); ok && at <= before {
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

// kernelLog are the newest lines of the kernel's log, the oldest first.
func (b *Backend) kernelLog(ctx context.Context) []string {
	output, err := b.kernel.Run(ctx, mounter.Command{Name: "dmesg"})
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(output.Stdout), "\n")
}

// kernelTime is when a line of dmesg(1) was logged, by the log's own clock, in seconds.
var kernelTime = regexp.MustCompile(`^\[ *([0-9]+\.[0-9]+)\]`)

func logged(line string) (at time.Duration, ok bool) {
	found := kernelTime.FindStringSubmatch(line)
	if found == nil {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(found[1], 64)
	return time.Duration(seconds * float64(time.Second)), err == nil
}

// lastLogged is when the newest line was logged; 0 when the log has no times.
func lastLogged(lines []string) time.Duration {
	for _, line := range slices.Backward(lines) {
		if at, ok := logged(line); ok {
			return at
		}
	}
	return 0
}

// last is the last line that is not empty.
func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
