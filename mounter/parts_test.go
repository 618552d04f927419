package mounter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

func TestCheckRelease(t *testing.T) {
	for release, ok := range map[string]bool{
		"5.15.0": true, "5.15": true, "6.1.0-18-amd64": true, "10.0": true,
		"5.14.21": false, "4.19.0-26-amd64": false, "x": false, "": false,
	} {
		assert.Equal(t, checkRelease(release) == nil, ok, release)
	}
	assert.ErrorContains(t, checkRelease("5.10.0"), "the kernel is 5.10.0; homelab-storage needs 5.15 or newer")
	assert.NilError(t, CheckKernel())
}

// What the table has is not asked what it is: a mount whose server hangs would keep the question. A mount on which nobody comes out any more
// says nothing about the folder that is there now.
func TestFilesBelowAsksNoMount(t *testing.T) {
	folder := t.TempDir()
	assert.NilError(t, os.MkdirAll(filepath.Join(folder, "radarr", "written"), 0o700))
	table := []Mount{{ID: 1, Target: "/"}, {ID: 2, Parent: 1, Target: folder}, {ID: 3, Parent: 2, Target: filepath.Join(folder, "radarr")}}
	assert.NilError(t, filesBelow(folder, table))
	assert.ErrorIs(t, filesBelow(folder, table[:2]), unix.ENOTEMPTY)
	hidden := append(table, Mount{ID: 4, Parent: 2, Target: folder})
	assert.ErrorIs(t, filesBelow(folder, hidden), unix.ENOTEMPTY)
}

func TestShareOptions(t *testing.T) {
	options := shareOptions(Share{
		Source: "//nas/media", User: "u", Password: NewSecret("a,b%c"), Domain: "D",
		Options: []Option{{Name: "port", Value: "445"}, {Name: "nodfs", Flag: true}},
	})
	assert.DeepEqual(t, options, []Option{
		{Name: "source", Value: "//nas/media"},
		{Name: "port", Value: "445"},
		{Name: "nodfs", Flag: true},
		{Name: "user", Value: "u"},
		{Name: "pass", Value: "a,b%c"},
		{Name: "domain", Value: "D"},
	})
	assert.Equal(t, len(shareOptions(Share{Source: "//nas/media"})), 1)
	longest := []Option{{Name: "pass", Value: strings.Repeat("x", 255)}}
	assert.NilError(t, checkMount("/a", longest))
	longest[0].Value += "x"
	assert.ErrorIs(t, checkMount("/a", longest), unix.EINVAL)
}

func TestSecretIsNeverShown(t *testing.T) {
	secret := struct{ Password Secret }{NewSecret("hunter2")}
	behind := struct{ Share *Share }{&Share{Password: secret.Password}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%!"} {
		text := fmt.Sprintf(verb, secret) + fmt.Sprintf(verb, &secret.Password) + fmt.Sprintf(verb, behind)
		assert.Assert(t, !strings.Contains(text, "hunter2") && !strings.Contains(text, "68756e"), text)
	}
	text, err := json.Marshal(secret)
	assert.NilError(t, err)
	assert.Equal(t, string(text), `{"Password":"***"}`)
	assert.Equal(t, secret.Password.Reveal(), "hunter2")
	assert.Assert(t, NewSecret("").IsZero() && !secret.Password.IsZero())
}

func TestErrorSaysWhatWasAsked(t *testing.T) {
	err := asked(fmt.Errorf("open_tree: %w", unix.EPERM), "bind", "/a/b", "/mnt/volumes/x")
	assert.Error(t, err, "bind /a/b at /mnt/volumes/x: open_tree: operation not permitted")
	assert.ErrorIs(t, err, unix.EPERM)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	err = asked(&Error{Op: "target /x", Since: since, Err: ErrBusy}, "unmount", "", "/x")
	assert.Error(t, err, "unmount at /x: an earlier call is still waiting for the kernel (since 2026-01-02T03:04:05Z)")
	assert.NilError(t, asked(nil, "bind", "", ""))
}

func TestCallsAreRepeatedWhenInterrupted(t *testing.T) {
	times := 0
	err := calls{}.do("statfs", func() error {
		if times++; times < 3 {
			return unix.EINTR
		}
		return nil
	})
	assert.NilError(t, err)
	assert.Equal(t, times, 3)
	cause := errors.New("injected")
	err = calls{fault: func(string) error { return cause }}.do("statfs", func() error { panic("it must not be called") })
	assert.Error(t, err, "statfs: injected")
	assert.ErrorIs(t, err, cause)
}

// The layouts of fs/ocfs2/ocfs2_ioctl.h: the kernel copies 49 bytes of the request, the flags are at 12, the UUID at 16.
func TestOCFS2InfoLayout(t *testing.T) {
	var info ocfs2Info
	assert.Equal(t, unsafe.Offsetof(info.flags), uintptr(12))
	assert.Equal(t, unsafe.Offsetof(info.text), uintptr(16))
	assert.Equal(t, unsafe.Offsetof(info.text)+unsafe.Sizeof(info.text), uintptr(ocfs2InfoSize))
	directory, err := os.Open(t.TempDir())
	assert.NilError(t, err)
	defer func() { assert.NilError(t, directory.Close()) }()
	_, err = calls{}.ocfs2UUID(directory)
	assert.ErrorIs(t, err, unix.ENOTTY, "another file system does not know the ioctl")
}

func TestReadAhosts(t *testing.T) {
	text := `192.168.1.5     STREAM nas.local
192.168.1.5     DGRAM
::ffff:192.168.1.5 STREAM
fe80::1%eth0    STREAM
garbage
`
	assert.DeepEqual(t, fmt.Sprint(readAhosts(text)), "[192.168.1.5 fe80::1%eth0]")
	assert.Equal(t, len(readAhosts("")), 0)
	assert.Equal(t, distinct([]netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1")})[0].String(), "10.0.0.1")
}

func TestReadLive(t *testing.T) {
	for text, want := range map[string]string{
		"0 1 2 \n": "[0 1 2]", "\n": "[]", "7 \n": "[7]", "": "nil", "0 1": "nil", "0 x \n": "nil", "-1 \n": "nil",
	} {
		live := readLive(text)
		got := fmt.Sprint(live)
		if live == nil {
			got = "nil"
		}
		assert.Equal(t, got, want, "%q", text)
	}
}

func TestReadElapsed(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1234\n": 1234 * time.Millisecond, "0\n": 0, "": 0, "1234": 0, "x\n": 0, "-1\n": 0, "99999999999\n": 0,
	} {
		assert.Equal(t, readElapsed(text), want, "%q", text)
	}
}

func TestClusterFromConfigfs(t *testing.T) {
	const uuid = "0123456789ABCDEF0123456789ABCDEF"
	root := t.TempDir()
	for name, text := range map[string]string{
		"lab/idle_timeout_ms": "30000\n", "lab/heartbeat/dead_threshold": "31\n", "lab/heartbeat/mode": "local\n",
		"lab/heartbeat/" + uuid + "/dev": "sda\n",
		"lab/node/n1/num":                "0\n", "lab/node/n1/local": "0\n", "lab/node/n2/num": "1\n", "lab/node/n2/local": "1\n",
	} {
		assert.NilError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		assert.NilError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	linux := &Linux{log: logrus.NewEntry(log)}
	cluster, err := linux.readCluster(root, uuid)
	assert.NilError(t, err)
	assert.DeepEqual(t, cluster, Cluster{
		Name: "lab", Node: 1, Nodes: map[string]int{"n1": 0, "n2": 1}, DeadThreshold: 31, IdleTimeout: 30 * time.Second, Region: true,
	})
	for _, other := range []string{strings.Repeat("A", 32), "", "..", "dead_threshold", uuid + "/.."} {
		cluster, err = linux.readCluster(root, other)
		assert.NilError(t, err)
		assert.Assert(t, !cluster.Region, other)
	}
	cluster, err = linux.readCluster(filepath.Join(root, "none"), uuid)
	assert.NilError(t, err)
	assert.Equal(t, cluster.Name, "")
	assert.NilError(t, os.WriteFile(filepath.Join(root, "lab/heartbeat/dead_threshold"), []byte("x\n"), 0o600))
	_, err = linux.readCluster(root, uuid)
	assert.ErrorContains(t, err, "dead_threshold")
}

func TestPackageOfAMissingProgram(t *testing.T) {
	assert.Equal(t, packageOf("iscsiadm"), " (Debian: apt install open-iscsi)")
	assert.Equal(t, packageOf("mount.ocfs2"), " (Debian: apt install ocfs2-tools)")
	assert.Equal(t, packageOf("something"), "")
}
