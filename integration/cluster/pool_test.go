//go:build lab

package cluster

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// appDataPath is where the second pool is mounted, which has no iSCSI target to log in to.
const appDataPath = "/mnt/iscsi/app-data"

// testPoolRefusals tries each proof of DESIGN D4 for a pool.
func (s *site) testPoolRefusals(t *testing.T) {
	s.healed(t)
	t.Run("plain-folder", s.testPlainFolder)
	s.ok(t, "docker volume create --driver homelab-storage --opt class=db kept")
	s.ok(t, run("kept")+" sh -c 'echo kept >/config/file'")
	for _, c := range s.poolRefusals() {
		c.attempt, c.works = writes("kept"), "[ \"$("+run("kept")+" cat /config/file)\" = kept ]"
		t.Run(strings.TrimPrefix(c.name, "pool-"), func(t *testing.T) { s.refuses(t, c) })
	}
	s.ok(t, "docker volume rm kept")
}

// poolRefusals are the causes for which the volume "kept" must not be mounted.
func (s *site) poolRefusals() []refusal {
	script := func(script string) func(t *testing.T) { return func(t *testing.T) { s.eventually(t, script) } }
	nas := s.lab.NAS().ISCSI
	return []refusal{
		{
			name: "pool-not-mounted",
			cause: func(t *testing.T) {
				s.disconnect(t, "media-apps", poolPath)
				assert.NilError(t, nas.Stop(t.Context()))
			},
			remove: func(t *testing.T) { assert.NilError(t, nas.Start(t.Context())) },
		},
		{
			name: "pool-wrong-uuid",
			cause: func(t *testing.T) {
				s.unmount(t, poolPath)
				s.connect(t, "app-data")
				assert.NilError(t, s.node.MountPool(t.Context(), "app-data", poolPath))
			},
			remove: func(t *testing.T) { s.disconnect(t, "app-data", poolPath) },
		},
		{
			name:   "pool-directory-missing",
			cause:  script("mv " + poolPath + "/kept " + poolPath + "/elsewhere"),
			remove: script("mv " + poolPath + "/elsewhere " + poolPath + "/kept"),
		},
		{
			name:   "pool-directory-link",
			cause:  script("mv " + poolPath + "/kept " + poolPath + "/elsewhere && ln -s /root " + poolPath + "/kept"),
			remove: script("rm " + poolPath + "/kept && mv " + poolPath + "/elsewhere " + poolPath + "/kept"),
		},
		{
			name:   "pool-read-only",
			cause:  script("mount -o remount,ro " + poolPath),
			remove: script("mount -o remount,rw " + poolPath),
		},
		{
			name: "pool-iscsi-gone",
			cause: func(t *testing.T) {
				// While the hold of the last mount lingers, nothing of a mount needs the disk.
				s.eventually(t, "! docker homelab holder ls | grep kept")
				s.hangDisk(t)
			},
			remove: func(t *testing.T) { assert.NilError(t, nas.Continue(t.Context())) },
		},
		{
			name: "pool-iscsi-silent",
			cause: func(t *testing.T) {
				// A volume in use is mounted a second time from memory: only the heartbeat tells that its disk is away.
				s.ok(t, strings.Replace(run("kept"), "docker run", "docker run --detach --name keeper", 1)+" sleep infinity")
				s.hangDisk(t)
			},
			remove: func(t *testing.T) {
				assert.NilError(t, nas.Continue(t.Context()))
				s.ok(t, "docker rm --force keeper")
			},
		},
	}
}

// hangDisk takes the LUN away without a word, for longer than a busy disk keeps a heartbeat waiting. A Mount that comes earlier waits
// for the disk itself, and then says when that began.
func (s *site) hangDisk(t *testing.T) {
	t.Helper()
	assert.NilError(t, s.lab.NAS().ISCSI.Hang(t.Context()))
	s.ok(t, "sleep 12")
}

// testPlainFolder has a second pool, of the configuration file and without a target to log in to: its disk is the host's
// business, and is away, and somebody has written where it would be mounted.
func (s *site) testPlainFolder(t *testing.T) {
	file := "pools:\n  - name: app-data\n    device: UUID=" + s.uuids["app-data"] + "\n    path: " + appDataPath + "\n"
	assert.NilError(t, s.node.Put(t.Context(), strings.NewReader(file), "/etc/homelab-storage/config.yaml", 0o644))
	s.eventually(t, "docker homelab status | grep --quiet app-data") // the plugin reads the file by itself
	s.connect(t, "app-data")
	s.ok(t, "docker volume create --driver homelab-storage --opt class=db --opt pool=app-data second")
	s.ok(t, run("second")+" sh -c 'echo kept >/config/file'")
	s.refuses(t, refusal{
		name: "pool-plain-folder", attempt: writes("second"), works: "[ \"$(" + run("second") + " cat /config/file)\" = kept ]",
		cause: func(t *testing.T) {
			s.disconnect(t, "app-data", appDataPath)
			s.ok(t, "mkdir "+appDataPath+"/second && echo stray >"+appDataPath+"/second/file")
		},
		remove: func(t *testing.T) { s.connect(t, "app-data") },
	})
	// A file that vanishes is not taken for one that says nothing.
	s.ok(t, "docker volume rm second && : >/etc/homelab-storage/config.yaml && until ! docker homelab status | grep --quiet app-data; do sleep 0.2; done")
	s.disconnect(t, "app-data", appDataPath)
	s.ok(t, "[ \"$(cat "+appDataPath+"/second/file)\" = stray ] && rm -r "+appDataPath)
}

func (s *site) connect(t *testing.T, lun string) {
	t.Helper()
	_, err := s.node.LoginISCSI(t.Context(), lun)
	assert.NilError(t, err)
}

// disconnect takes a disk away in order: nothing hangs, nothing fences.
func (s *site) disconnect(t *testing.T, lun, path string) {
	t.Helper()
	s.unmount(t, path)
	assert.NilError(t, s.node.LogoutISCSI(t.Context(), lun))
}

// unmount takes a pool away. The plugin looks at the catalog on it every now and then, for which the kernel calls it busy.
func (s *site) unmount(t *testing.T, path string) {
	t.Helper()
	s.eventually(t, "! mountpoint --quiet "+path+" || umount "+path)
}
