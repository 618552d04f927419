package host

import (
	"context"
	"fmt"
	"net"
	"os"
	"path"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/settings"
)

const (
	waitTick = time.Second
	// dialLimit is for one try to reach a portal: a NAS that is off leaves a connection unanswered.
	dialLimit = 2 * time.Second
	iscsiPort = "3260"
)

// Wait returns when every pool's disk is on the node or can be logged in to, which the plugin does when a container needs it; or,
// with an error that says what is missing, when the context ends. It tells once what it waits for.
func (h *Host) Wait(ctx context.Context, pools []settings.Pool, say func(format string, arguments ...any)) error {
	ticker := time.NewTicker(waitTick)
	defer ticker.Stop()
	told := map[string]bool{}
	for {
		var missing []string
		for _, pool := range pools {
			if what := h.missing(ctx, pool); what != "" {
				missing = append(missing, what)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		for _, what := range missing {
			if !told[what] {
				told[what] = true
				say("Waiting: %s", what)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("not waited for any longer: %s; its containers start when it is there", strings.Join(missing, "; "))
		}
	}
}

// missing says what a pool lacks; "" for nothing.
func (h *Host) missing(ctx context.Context, pool settings.Pool) string {
	if pool.Standalone || pool.Device == "" && pool.ISCSI == nil {
		return ""
	}
	if _, err := os.Stat(path.Join(h.Root, link(pool.Device))); err == nil {
		return ""
	}
	if pool.ISCSI == nil {
		return fmt.Sprintf("the disk %s of pool %s is not on this node", pool.Device, pool.Name)
	}
	address := pool.ISCSI.Portal
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), iscsiPort)
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Sprintf("the iSCSI portal %s of pool %s does not answer", pool.ISCSI.Portal, pool.Name)
	}
	_ = conn.Close()
	return ""
}

// link is the name that udev gives a device (udev's 60-persistent-storage.rules).
func link(device string) string {
	if uuid, ok := strings.CutPrefix(device, "UUID="); ok {
		return "/dev/disk/by-uuid/" + settings.Dashed(strings.Trim(uuid, `"`))
	}
	if label, ok := strings.CutPrefix(device, "LABEL="); ok {
		return "/dev/disk/by-label/" + strings.Trim(label, `"`)
	}
	return device
}
