package smb_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/smb"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// torrents is the device of the rows that are about options only.
const torrents = "//nas/torrents"

// written are options as people write them: in compose files, in /etc/fstab, in forums.
func written() [][2]string {
	rows := [][2]string{
		{torrents, "username=bob,password=canary,vers=3.0,file_mode=0770,dir_mode=0770,uid=1000,gid=1000,soft,actimeo=30"},
		{torrents, "username=bob,password=canary,domain=HOME,vers=3.0"},
		{"//nas.local/media", "addr=nas.local,username=bob,password=canary"},
		{torrents, "addr=nas.home.arpa,username=bob,password=canary"},
		{torrents, "addr=192.168.1.100,username=bob,password=canary,file_mode=0777,dir_mode=0777"},
		{`\\nas\torrents\tv shows`, "user=bob,pass=canary,dom=HOME"},
		{"//NAS/My Share/Fotos aus Köln", "username=bob,password=canary,iocharset=utf8"},
		{`//nas/My\040Share`, "username=bob,password=canary,rw,noauto,users"},
		{"//nas.home.arpa/media/", "username=bob,password=canary,vers=3.1.1,rw,uid=1000,gid=1000"},
		{"//[fd00::1]/media", "username=bob,password=canary"},
		{"//nas/backup$", `username=HOME\bob,password=canary`},
		{`\\\\nas\\torrents\\tv`, `username=HOME\\bob,password=canary`},
		{`//nas/My\ Share`, "username=HOME/bob,password=canary"},
		{"//nas:4450/torrents", "username=bob,password=canary"},
		{"//[fd00::1]:4450/torrents", "username=bob,password=canary"},
		{"smb://nas/torrents", "username=bob,password=canary"},
		{"//nas/old", "guest,vers=1.0"},
		{"//nas/old/tv", "guest,vers=1.0,sec=none"},
	}
	for _, options := range []string{
		"", "rw", "ro,noperm", "defaults,_netdev,nofail,x-systemd.automount,x-systemd.idle-timeout=60",
		"username=bob,password=ca,,na,,ry", "username=bob,password=canary%$\\ #\"'", "username=bob,password=ca,nary,vers=3.0", "username='bob',password='canary'",
		"username=bob@home.arpa,password=canary", "username=bob%canary", "username=bob", "username=${SMB_USERNAME},password=canary", "username=,password=",
		"username=bob,password=canary,domain=,workgroup=WORKGROUP", "password2=canary,username=bob,password=canary", "username=bob,pass2=ca,nary", "username=bob,passwd=ca,nary",
		"guest", "guest,uid=1000,gid=1000,rw", "username=guest,password=", "user=nobody,guest", "sec=none", "username=bob,password=canary,guest",
		"credentials=/root/.smbcredentials,iocharset=utf8,vers=3.0", "cred=/etc/none", "credentials=/etc/open.cred", "credentials=~/.smb", "credentials=nas", "credentials=nas,domain=HOME", "domain=HOME",
		"uid=media,gid=users,forceuid,forcegid", "uid=nobody-here", "uid=${PUID},gid=${PGID}", "backupuid=media,cruid=1000", "umask=002,fmask=0113,dmask=0002",
		"vers=3,seal", "vers=default", "vers=3.02", "vers=2.1", "vers=2.0", "vers=1.0", "vers=4.1,nfsvers=4", "ver=1.0",
		"sec=ntlm", "sec=ntlmv2", "sec=ntlmssp", "sec=krb5,multiuser", "sec=krb5p", "sec=krb5,cruid=1000",
		"soft", "hard,intr", "soft,timeo=30,retrans=3", "cache=none,actimeo=0", "cache=loose,acregmax=60,acdirmax=30", "actimeo=1", "noac", "closetimeo=5",
		"rsize=1048576,wsize=1048576,bsize=1048576", "rsize=1M", "rasize=4194304,max_credits=1024", "echo_interval=60", "echo_interval=0",
		"nobrl,cache=none", "nolock,noperm", "noserverino,nounix,nodfs", "dfs,nomfsymlinks,nohandlecache", "mapposix,noacl,nouser_xattr", "sfu,cifsacl,modefromsid,idsfromsid",
		"multichannel,max_channels=4", "multichannel,max_channels=64", "seal,sign", "nosharesock,max_cached_dirs=64,handletimeout=60000", "resilienthandles,persistenthandles",
		"port=445", "port=0", "ip=fd00::1,port=4450", "netbiosname=DOCKER1,servern=NAS,srcaddr=192.168.1.5", "netfsname=DOCKER1,nbtname=NAS", "snapshot=@GMT-2026.03.01-12.00.00", "rdma,compress,witness",
		"noexec,nosuid,nodev,noatime", "exec,suid,dev", "sync,mand", "bind", "remount,rw", "codepage=cp850,iocharset=utf8", "forcedirectio", "context=system_u:object_r:container_file_t:s0", "prefixpath=tv", "unc=//nas/torrents", "comment=media,sloppy", "verz=3.0", "frobnicate=1", "=3.0",
	} {
		rows = append(rows, [2]string{torrents, options})
	}
	return rows
}

const head = `# SMB options, as people write them

What each of these lines becomes, for a volume with ` + "`type: cifs`" + ` or ` + "`class: media`" + `. A test makes this page from the code, so it is what
happens. Each mount is made with these options, unless the volume's own or those of its share in config.yaml say otherwise; the page shows
what differs:

    %s

Every value goes to the kernel by itself (` + "`fsconfig`" + `), so that nothing in it needs escaping: not a comma, quote, ` + "`%%`, `$`, `\\`" + ` or blank of a
password. Only the text of ` + "`o=`" + ` itself separates its options with commas, so that a comma inside a password is written twice there, as for
mount.cifs; the option ` + "`password=`" + ` and named credentials have no such rule. A password is 1 to 128 bytes of UTF-8.

The dialect is 3.1.1; a server that refuses it is asked for 3.0. In these examples the credentials ` + "`nas`" + ` are SMB_CREDENTIALS, this node
knows the user media (1001) and the group users (100), and config.yaml allows SMB 1 for ` + "`//nas/old`" + ` alone.

`

func TestWritten(t *testing.T) {
	assert.Assert(t, len(written()) >= 60)
	b := newBench(t)
	b.settings.Shares = append(b.settings.Shares, settings.Share{Name: "old", Device: "//nas/old", Options: []string{"vers=1.0"}})
	b.kernel.SetProgram("getent", getent)
	b.kernel.SetAddresses("nas.home.arpa", netip.MustParseAddr("192.168.1.101"))
	etc := b.kernel.HostPath("/root")
	assert.NilError(t, os.MkdirAll(etc, 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(etc, ".smbcredentials"), []byte("username=bob\npassword=canary\n"), 0o600))
	etc = b.kernel.HostPath("/etc")
	assert.NilError(t, os.MkdirAll(etc, 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(etc, "open.cred"), []byte("username=bob\npassword=canary\n"), 0o644))
	standard := given(t, b, volume("standard", ""))
	var page strings.Builder
	fmt.Fprintf(&page, head, strings.Join(standard, ","))
	page.WriteString("| device and `o=` | what it becomes |\n|---|---|\n")
	for _, row := range written() {
		fmt.Fprintf(&page, "| %s | %s |\n", cell(code(row[0]), code(row[1])), cell(becomes(t, b, row, standard)...))
	}
	text := strings.NewReplacer("ca,,na,,ry", "se,,cr,,et", "ca,nary", "se,cret", "canary", "secret").Replace(page.String())
	golden.Assert(t, text, "../../../../docs/smb-options.md")
}

// getent knows one user and one group.
func getent(_ context.Context, command mounter.Command) (mounter.Output, error) {
	switch strings.Join(command.Args, " ") {
	case "passwd media":
		return mounter.Output{Stdout: "media:x:1001:1001:Media:/nonexistent:/usr/sbin/nologin\n"}, nil
	case "group users":
		return mounter.Output{Stdout: "users:x:100:\n"}, nil
	}
	return mounter.Output{Code: 2}, nil
}

// becomes tells what a volume with these options is: a refusal, or what it is given beside the standard, and its warnings.
func becomes(t *testing.T, b *bench, row [2]string, standard []string) []string {
	t.Helper()
	plan, err := b.backend.Plan(t.Context(), device(row[0], row[1]))
	if err != nil {
		text := strings.TrimSpace(err.Error())
		assert.Assert(t, !strings.Contains(strings.NewReplacer(row[0], "").Replace(text), "nary"), text)
		return append([]string{"**refused**: " + strings.Split(text, "\n")[0]}, strings.Split(text, "\n")[1:]...)
	}
	options := given(t, b, backend.Volume{ID: "0123456789abcdef0123456789abcdef", Name: "v", Location: plan.Location})
	parts := []string{place(plan)}
	var more, less []string
	for _, option := range options {
		if !slices.Contains(standard, option) {
			more = append(more, option)
		}
	}
	for _, option := range standard {
		name, _, _ := strings.Cut(option, "=")
		if !slices.ContainsFunc(options, func(other string) bool { return strings.HasPrefix(other+"=", name+"=") }) {
			less = append(less, option)
		}
	}
	if len(more) > 0 {
		parts = append(parts, "with "+code(strings.Join(more, ",")))
	}
	if len(less) > 0 {
		parts = append(parts, "without "+code(strings.Join(less, ",")))
	}
	for _, warning := range plan.Warnings {
		assert.Assert(t, !strings.Contains(warning, "nary"), warning)
		if !strings.HasPrefix(warning, "user and password are written") {
			parts = append(parts, "*warning*: "+warning)
		}
	}
	return parts
}

// place says where a volume is and who logs in.
func place(plan backend.Plan) string {
	location := plan.Location
	text := code(strings.TrimSuffix(location.Device+"/"+location.Subdir, "/"))
	switch {
	case plan.Username != "" && plan.Domain != "":
		text += fmt.Sprintf(" as user %q of domain %q", plan.Username, plan.Domain)
	case plan.Username != "":
		text += fmt.Sprintf(" as user %q", plan.Username)
	case location.Credentials != "":
		text += " as credentials " + location.Credentials
	default:
		text += " without login"
	}
	if location.ReadOnly {
		text += ", read-only"
	}
	return text
}

// given is what the kernel gets for a volume, without the server's address.
func given(t *testing.T, b *bench, v backend.Volume) []string {
	t.Helper()
	stop := errors.New("seen")
	var share *mounter.Share
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op != mountertest.OpMountShare {
			return nil
		}
		share = action.Share
		return stop
	})
	defer b.kernel.OnCall(nil)
	b.kernel.SetAddresses(hostOf(v.Location.Device), address(t))
	_, err := b.backend.Stage(t.Context(), v)
	assert.Assert(t, share != nil, "%v", err)
	var options []string
	for _, option := range share.Options {
		switch {
		case option.Name == "ip" && (option.Value == address(t).String() || option.Value == hostOf(v.Location.Device)):
		case option.Flag:
			options = append(options, option.Name)
		default:
			assert.Assert(t, mountoption.Known(option.Name))
			options = append(options, option.Name+"="+option.Value)
		}
	}
	return options
}

func code(text string) string {
	if text == "" {
		return "(nothing)"
	}
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

// cell is the content of a table's cell.
func cell(parts ...string) string {
	text := strings.TrimSpace(strings.Join(parts, "<br>"))
	return strings.NewReplacer("|", `\|`, "\n", "<br>").Replace(text)
}

// A text's secrets are hidden up to the next name of an option: all that are understood here must be known there.
func TestEveryOptionIsKnown(t *testing.T) {
	for _, name := range smb.Understood() {
		assert.Check(t, mountoption.Known(name), "%q", name)
	}
}
