package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/homelab-storage/homelab-storage/integration/need"
)

// tools are the commands that the lab runs on the host, and the Debian packages that have them.
func tools() map[string]string {
	return map[string]string{
		"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils",
		"mmdebstrap": "mmdebstrap", "dpkg-deb": "dpkg", "mke2fs": "e2fsprogs", "modprobe": "kmod", "cpio": "cpio", "xz": "xz-utils",
		"tgtd": "tgt", "tgtadm": "tgt", "smbd": "samba", "smbpasswd": "samba-common-bin",
		"ip": "iproute2", "ebtables": "iptables",
	}
}

// ErrUnavailable is wrapped by errors that say what this machine lacks.
var ErrUnavailable = errors.New("the lab cannot run here")

// Check says what is missing to run a lab here; nil means nothing is.
func Check() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("%w: it needs linux/amd64, this is %s/%s", ErrUnavailable, runtime.GOOS, runtime.GOARCH)
	}
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("%w: it needs root, this is user %d; use sudo", ErrUnavailable, uid)
	}
	var missing []string
	for tool, pack := range tools() {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, fmt.Sprintf("%s (package %s)", tool, pack))
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("%w: not found: %s; scripts/deps installs them", ErrUnavailable, strings.Join(missing, ", "))
	}
	return nil
}

// Require skips the test where no lab can run; in CI (CI=true) it fails it instead.
func Require(tb testing.TB) {
	tb.Helper()
	need.NoError(tb, Check())
}
