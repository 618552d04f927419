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
	s.configureAppData(t)
	s.ok(t, "docker volume create --driver homelab-storage --opt class=db kept")
	s.ok(t, "docker volume create --driver homelab-storage --opt class=db --opt pool=app-data second")
	for _, volume := range []string{"kept", "second"} {
		s.ok(t, run(volume)+" sh -c 'echo kept >/config/file'")
	}
	kept := "[ \"$(" + run("kept") + " cat /config/file)\" = kept ]"
	second := "[ \"$(" + run("second") + " cat /config/file)\" = kept ]"
	script := func(script string) func(t *testing.T) { return func(t *testing.T) { s.eventually(t, script) } }
	isNAS := s.lab.NAS().ISCSI
	for _, c := range []refusal{
		{
			name: "pool-not-mounted", works: kept,
			cause: func(t *testing.T) {
				s.unmount(t, poolPath)
				assert.NilError(t, s.node.LogoutISCSI(t.Context(), "media-apps"))
				assert.NilError(t, isNAS.Stop(t.Context()))
			},
			remove: func(t *testing.T) { assert.NilError(t, isNAS.Start(t.Context())) },
		},
		{
			name: "pool-plain-folder", works: second, attempt: writes("second"),
			cause: func(t *testing.T) {
				s.unmount(t, appDataPath)
				assert.NilError(t, s.node.LogoutISCSI(t.Context(), "app-data"))
				s.ok(t, "mkdir "+appDataPath+"/second && echo stray >"+appDataPath+"/second/file")
			},
			remove: func(t *testing.T) {
				_, err := s.node.LoginISCSI(t.Context(), "app-data")
				assert.NilError(t, err)
			},
		},
		{
			name: "pool-wrong-uuid", works: kept,
			cause: func(t *testing.T) {
				s.unmount(t, appDataPath)
				s.unmount(t, poolPath)
				assert.NilError(t, s.node.MountPool(t.Context(), "app-data", poolPath))
			},
			remove: script("umount " + poolPath),
		},
		{
			name: "pool-directory-missing", works: kept,
			cause:  script("mv " + poolPath + "/kept " + poolPath + "/elsewhere"),
			remove: script("mv " + poolPath + "/elsewhere " + poolPath + "/kept"),
		},
		{
			name: "pool-directory-link", works: kept,
			cause:  script("mv " + poolPath + "/kept " + poolPath + "/elsewhere && ln -s /root " + poolPath + "/kept"),
			remove: script("rm " + poolPath + "/kept && mv " + poolPath + "/elsewhere " + poolPath + "/kept"),
		},
		{
			name: "pool-read-only", works: kept,
			cause:  script("mount -o remount,ro " + poolPath),
			remove: script("mount -o remount,rw " + poolPath),
		},
		{
			name: "pool-iscsi-gone", works: kept,
			cause:  func(t *testing.T) { assert.NilError(t, isNAS.Hang(t.Context())) },
			remove: func(t *testing.T) { assert.NilError(t, isNAS.Continue(t.Context())) },
		},
	} {
		if c.attempt == "" {
			c.attempt = writes("kept")
		}
		t.Run(strings.TrimPrefix(c.name, "pool-"), func(t *testing.T) { s.refuses(t, c) })
	}
	s.ok(t, "docker volume rm kept second")
	s.ok(t, "rm /etc/homelab-storage/config.yaml")
	s.unmount(t, appDataPath)
	s.ok(t, "rm -r "+appDataPath)
}

// configureAppData gives the plugin a second pool by file. The plugin notices the file by itself; without iSCSI in it, the disk
// is the host's business.
func (s *site) configureAppData(t *testing.T) {
	t.Helper()
	_, err := s.node.LoginISCSI(t.Context(), "app-data")
	assert.NilError(t, err)
	file := "pools:\n  - name: app-data\n    device: UUID=" + s.uuids["app-data"] + "\n    path: " + appDataPath + "\n"
	assert.NilError(t, s.node.Put(t.Context(), strings.NewReader(file), "/etc/homelab-storage/config.yaml", 0o644))
	s.eventually(t, "docker homelab status | grep --quiet app-data")
}

// unmount takes a pool away. The plugin looks at the catalog on it every now and then, for which the kernel calls it busy.
func (s *site) unmount(t *testing.T, path string) {
	t.Helper()
	s.eventually(t, "! mountpoint --quiet "+path+" || umount "+path)
}
