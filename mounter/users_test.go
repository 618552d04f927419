package mounter_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// inNamespace starts a process in a mount namespace of its own, cloned from the host's as runc does (slave), runs a script
// in it and keeps it until the test ends.
func (f *fixture) inNamespace(t *testing.T, script string) int {
	t.Helper()
	hostNamespace := fmt.Sprintf("--mount=/proc/%d/ns/mnt", f.HostPID())
	command := exec.Command("nsenter", hostNamespace, "--", "unshare", "--mount", "--propagation", "slave",
		"sh", "-ec", "cd "+f.folder+"; "+script+"; echo ready; read -r line || :")
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	assert.NilError(t, err)
	output, err := command.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, command.Start())
	t.Cleanup(func() {
		assert.Check(t, input.Close())
		assert.Check(t, command.Wait())
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	assert.NilError(t, err)
	assert.Equal(t, line, "ready\n")
	return command.Process.Pid
}

func TestUsersAreContainersAndNotCopies(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "users/db/below")
	f.poolFolder(t, "users/other")
	target, whole := f.target(t), f.target(t)+"-whole"
	assert.NilError(t, f.Bind(t.Context(), mounter.Bind{Base: f.pool, Subdir: "users/db", Target: target}))
	assert.NilError(t, f.Bind(t.Context(), mounter.Bind{Base: f.pool, Target: whole, ReadOnly: true, Mask: []string{"users"}}))
	defer func() {
		assert.NilError(t, f.Unmount(t.Context(), target))
		assert.NilError(t, f.Unmount(t.Context(), whole))
	}()

	f.inNamespace(t, ":") // a systemd service with PrivateTmp
	f.inNamespace(t, "mount --make-rprivate /")
	root := "mount -t tmpfs root container; mkdir container/v container/w"
	f.inNamespace(t, root+"; mount --rbind / container/w") // docker run -v /:/w:rslave
	f.inNamespace(t, root+"; mount --rbind / container/w; mount --make-rprivate /")
	f.inNamespace(t, root+"; mount --bind pool/users/other container/v")
	users, err := f.Users(t.Context(), []string{target, whole, f.folder + "/volumes/none"})
	assert.NilError(t, err)
	assert.Equal(t, len(users), 0, "%v", users)

	slave := f.inNamespace(t, root+"; mount --bind "+f.view(target)+" container/v")
	private := f.inNamespace(t, root+"; mount --bind "+f.view(target)+" container/v; mount --make-rprivate /")
	below := f.inNamespace(t, root+"; mount --bind "+f.view(target)+"/below container/v")
	backup := f.inNamespace(t, root+"; mount --rbind "+f.view(whole)+" container/v")
	users, err = f.Users(t.Context(), []string{target, whole})
	assert.NilError(t, err)
	found := map[int]string{}
	for _, user := range users[target] {
		found[user.PID] = user.Target
		assert.Equal(t, user.Name, "sh")
	}
	seen := filepath.Join(f.folder, "container/v")
	assert.DeepEqual(t, found, map[int]string{slave: seen, private: seen, below: seen})
	assert.DeepEqual(t, users[whole], []mounter.User{{PID: backup, Name: "sh", Target: seen}})
}

// view is where the host sees a target.
func (f *fixture) view(target string) string {
	return filepath.Join(f.folder, "propagated-mount", filepath.Base(target))
}

// BenchmarkUsers reads the tables of all of this machine's mount namespaces.
func BenchmarkUsers(b *testing.B) {
	f := newFixture(b)
	for b.Loop() {
		_, err := f.Users(b.Context(), []string{f.folder + "/volumes/none"})
		assert.NilError(b, err)
	}
}
