package smb_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/smb"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

func (b *bench) mounts() int { return len(b.kernel.Actions(mountertest.OpMountShare)) }

func TestCreateMakesTheDirectoryAndStageDoesNot(t *testing.T) {
	b := newBench(t)
	files := b.kernel.ShareFiles("//nas/torrents")
	films := volume("films", "a/films")
	_, err := b.backend.Stage(t.Context(), films)
	assert.ErrorContains(t, err, "the directory //nas/torrents/a/films of volume films does not exist any more: make it on the server")
	location, err := b.backend.Create(t.Context(), films, false)
	assert.NilError(t, err)
	assert.Assert(t, !location.Adopted)
	_, err = os.Stat(filepath.Join(files, "a/films"))
	assert.NilError(t, err)
	location, err = b.backend.Create(t.Context(), films, false)
	assert.NilError(t, err)
	assert.Assert(t, location.Adopted)
	staged, err := b.backend.Stage(t.Context(), films)
	assert.NilError(t, err)
	assert.Equal(t, staged.Subdir, "a/films")
	assert.Equal(t, staged.Base.Side, mounter.Plugin)
	assert.Equal(t, b.mounts(), 1)
	assert.NilError(t, b.backend.Remove(t.Context(), films))
	_, err = os.Stat(filepath.Join(files, "a/films"))
	assert.NilError(t, err)
}

func TestOptionsOfTheKernel(t *testing.T) {
	b := newBench(t)
	_, err := b.backend.Stage(t.Context(), volume("v", "", "soft", "actimeo=30", "port=4450"))
	assert.NilError(t, err)
	share := b.kernel.Actions(mountertest.OpMountShare)[0].Share
	var options []string
	for _, option := range share.Options {
		text := option.Name
		if !option.Flag {
			text += "=" + option.Value
		}
		options = append(options, text)
	}
	assert.Equal(t, strings.Join(options, ","), "ip=192.168.1.100,vers=3.1.1,nodfs,echo_interval=10,mfsymlinks,soft,actimeo=30,port=4450,uid=1000,gid=1000,dir_mode=0770,file_mode=0660")
	assert.Equal(t, share.Source, "//nas/torrents")
	assert.Equal(t, share.User+"/"+share.Domain+"/"+share.Password.Reveal(), "bob/HOME/canary")
	assert.DeepEqual(t, b.dials, []string{"192.168.1.100:4450", "192.168.1.100:4450"})
}

func TestOneMountPerKey(t *testing.T) {
	b := newBench(t)
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			_, err := b.backend.Stage(t.Context(), volume("v", ""))
			assert.Check(t, err)
		})
	}
	group.Wait()
	assert.Equal(t, b.mounts(), 1)
	other := volume("w", "")
	other.Location.UID = 33
	first, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	second, err := b.backend.Stage(t.Context(), other)
	assert.NilError(t, err)
	assert.Assert(t, first.Base != second.Base)
	other.Location.UID, other.Location.Credentials = 1000, "tv"
	third, err := b.backend.Stage(t.Context(), other)
	assert.NilError(t, err)
	assert.Assert(t, first.Base != third.Base)
	assert.Equal(t, b.mounts(), 3)
}

func TestShareIsFoundAgainAfterARestart(t *testing.T) {
	b := newBench(t)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	_, err = b.restart(b.store).Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Equal(t, b.mounts(), 1)
}

func TestOlderDialect(t *testing.T) {
	b := newBench(t)
	b.kernel.Fail(mountertest.OpMountShare, 1, syscall.EOPNOTSUPP)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Equal(t, b.mounts(), 2)
	b.kernel.Fail(mountertest.OpMountShare, 1, syscall.EOPNOTSUPP)
	_, err = b.backend.Stage(t.Context(), volume("w", "", "vers=3.1.1"))
	assert.ErrorContains(t, err, "speaks none of the dialects 3.1.1")
	assert.Equal(t, b.mounts(), 3)
}

// Every error number of the kernel and every failure of the probe has its sentence.
func TestSentences(t *testing.T) {
	var text strings.Builder
	add := func(title string, err error) {
		text.WriteString("# " + title + "\n" + err.Error() + "\n\n")
		assert.Assert(t, !strings.Contains(err.Error(), "canary"))
	}
	for _, number := range []syscall.Errno{
		syscall.EACCES, syscall.EPERM, syscall.ENOENT, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT,
		syscall.EHOSTDOWN, syscall.EAGAIN, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EOPNOTSUPP, syscall.EINVAL, syscall.ENOKEY,
		syscall.EKEYEXPIRED, syscall.EKEYREVOKED, syscall.EKEYREJECTED, syscall.ENODEV, syscall.ELIBACC, syscall.EREMOTE, syscall.EIO,
	} {
		b := newBench(t)
		b.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpMountShare {
				return number
			}
			return nil
		})
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.Assert(t, errors.Is(err, number), "%v", err)
		add("mount: "+number.Error(), err)
	}
	for _, number := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ETIMEDOUT} {
		b := newBench(t)
		b.kernel.SetAddresses("nas", netip.MustParseAddr("192.168.1.100"), netip.MustParseAddr("fd00::1"))
		b.dial = func(_ context.Context, address string) error {
			if strings.HasPrefix(address, "[") {
				return syscall.ETIMEDOUT
			}
			return number
		}
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.Assert(t, errors.Is(err, backend.ErrUnavailable), "%v", err)
		assert.Equal(t, b.mounts(), 0)
		add("probe: "+number.Error(), err)
	}
	b := newBench(t)
	b.kernel.SetAddresses("nas")
	b.kernel.Fail(mountertest.OpResolve, 1, mounter.ErrNoAddress)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	add("no address", err)
	unknown := volume("v", "")
	unknown.Location.Credentials = "none"
	_, err = b.backend.Stage(t.Context(), unknown)
	add("no credentials", err)
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpMountShare {
			return syscall.EACCES
		}
		return nil
	})
	b.kernel.SetAddresses("nas", netip.MustParseAddr("192.168.1.100"))
	guest := volume("v", "", "sec=none")
	guest.Location.Credentials = ""
	_, err = b.backend.Stage(t.Context(), guest)
	add("guest refused", err)
	inline := volume("v", "")
	inline.Location.Credentials = credential.ForVolume(inline.ID)
	bob := credential.Credentials{Username: "bob", Password: mounter.NewSecret("canary")}
	assert.NilError(t, credential.NewStore(b.kernel, "/var/lib/homelab-storage/credentials").Set(t.Context(), inline.Location.Credentials, bob))
	_, err = b.backend.Create(t.Context(), inline, false)
	add("inline user refused at Create", err)
	b.pass(time.Minute)
	_, err = b.backend.Stage(t.Context(), inline)
	add("inline user refused at Mount", err)
	old := map[string]error{}
	const nothing = "greeting: nothing"
	for title, says := range map[string]string{nothing: "", "greeting: SMB 1": "\x00\x00\x00\x04\xffSMB"} {
		b := newBench(t)
		b.says = says
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.Equal(t, errors.Is(err, backend.ErrUnavailable), title == nothing)
		assert.Equal(t, b.mounts(), 0)
		old[title] = err
	}
	for _, title := range slices.Sorted(maps.Keys(old)) {
		add(title, old[title])
	}
	golden.Assert(t, text.String(), "sentences.golden")
}

// A server that accepts and hangs: the caller goes in time, the next one is answered at once, a late success is used.
func TestHangingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hold := b.kernel.Hold(mountertest.OpMountShare, "")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.backend.Stage(ctx, volume("v", ""))
		assert.Assert(t, errors.Is(err, backend.ErrUnavailable), "%v", err)
		assert.ErrorContains(t, err, "//nas/torrents: the server nas has not answered since ")
		assert.NilError(t, hold.Reached(t.Context()))
		status := b.backend.Status(volume("v", ""))
		assert.Assert(t, strings.Contains(status["problem"].(string), "has not answered since"))
		b.kernel.Release(hold)
		_, err = b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		assert.Equal(t, b.mounts(), 1, "the late success was used")
		assert.Assert(t, b.backend.Status(volume("v", ""))["problem"] == nil)
	})
}

// A mounted share whose server is gone hangs in every look: one thread waits, others are answered at once.
func TestMountedShareHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		staged, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		hold := b.kernel.Hold(mountertest.OpDo, "share "+staged.Base.Path)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err = b.backend.Stage(ctx, volume("v", ""))
		assert.ErrorContains(t, err, "has not answered since")
		assert.NilError(t, hold.Reached(t.Context()))
		began := time.Now()
		_, err = b.backend.Stage(t.Context(), volume("v", ""))
		assert.ErrorContains(t, err, "has not answered since")
		assert.Assert(t, time.Since(began) < time.Second)
		assert.Equal(t, len(b.backend.Report()), 1)
	})
}

func TestUnusedShareLingers(t *testing.T) {
	b := newBench(t)
	staged, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	target := filepath.Join(b.kernel.Temp(), "volumes", "v")
	assert.NilError(t, b.kernel.Bind(t.Context(), mounter.Bind{Base: staged.Base, Target: target}))
	unmounts := func() int { b.backend.Sweep(t.Context()); return len(b.kernel.Actions(mountertest.OpUnmount)) }
	b.pass(time.Hour)
	assert.Equal(t, unmounts(), 0, "it is used")
	assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	b.pass(9 * time.Minute)
	assert.Equal(t, unmounts(), 1, "it lingers")
	b.pass(2 * time.Minute)
	assert.Equal(t, unmounts(), 2)
	assert.Equal(t, len(b.backend.Report()), 0)
	_, err = b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Equal(t, b.mounts(), 2)
}

func TestLinksOnTheShareAreRefused(t *testing.T) {
	b := newBench(t)
	files := b.kernel.ShareFiles("//nas/torrents")
	assert.NilError(t, os.Symlink("/etc", filepath.Join(files, "films")))
	_, err := b.backend.Create(t.Context(), volume("v", "films/x"), false)
	assert.ErrorContains(t, err, `"films" is a symbolic link`)
	_, err = b.backend.Stage(t.Context(), volume("v", "films"))
	assert.ErrorContains(t, err, "must be a real one")
}

func TestHostileRecordIsRefused(t *testing.T) {
	b := newBench(t)
	for _, change := range []func(*backend.Location){
		func(l *backend.Location) { l.Device = "//nas/../etc" },
		func(l *backend.Location) { l.Subdir = "../x" },
		func(l *backend.Location) { l.MountOptions = []string{"unc=//evil/x"} },
		func(l *backend.Location) { l.MountOptions = []string{"vers=4"} },
		func(l *backend.Location) { l.MountOptions = []string{"backupuid=media"} },
	} {
		hostile := volume("v", "")
		change(&hostile.Location)
		_, err := b.backend.Stage(t.Context(), hostile)
		assert.ErrorContains(t, err, "record is not usable")
	}
	assert.Equal(t, b.mounts(), 0)
}

// List and inspect ask for the Status of thousands of volumes.
func BenchmarkStatus(b *testing.B) {
	backend := smb.New(smb.Options{ShareRoot: "/run/shares"})
	v := volume("v", "films", "soft", "actimeo=30", "vers=3.0", "seal")
	for b.Loop() {
		_ = backend.Status(v)
	}
}
