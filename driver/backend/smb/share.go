package smb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// defaults are the options of a share mount that a volume may override (FACTS 4): nodfs and port keep the kernel from
// asking other servers and port 139, echo_interval finds a lost server within 36 s, hard loses no writes. What a file is like is asked
// again after 10 s (acregmax), what is in a folder after 1 s (acdirmax): new files are seen at once, and a library is not asked
// for file by file.
//
//nolint:gochecknoglobals // a constant table
var defaults = []string{"port=445", "nodfs", "echo_interval=10", "mfsymlinks", "hard", "acregmax=10", "acdirmax=1"}

// dialects are tried in this order when the volume names none.
//
//nolint:gochecknoglobals // a constant table
var dialects = []string{"3.1.1", "3.0"}

// share is one share mount: what all volumes on it have in common.
type share struct {
	server, name string
	device       string // //server/share
	credentials  string
	options      []string // complete but for dialect and address
	versions     []string
	address      string // given by the volume, or ""
	port         string
	key, first   string           // first is the place of the first mount
	location     backend.Location // all of the volume's but what is its own
	// target is where the share is mounted, mounted its server's address then; both are "" until a mount was found.
	target, mounted string
	// number is the file system's (st_dev), which a look found there; 0 before.
	number uint64
	// stale is a mount that shall be replaced, or "".
	stale string
	// unproven says that only the mount table counts.
	unproven bool
	// background says that no volume asks, testing that an operator does, who wants to know what the server says now.
	background, testing bool
	// For the sentences: user is who logs in, once that was read; creating says that the volume does not exist yet.
	user     string
	creating bool
}

// newShare derives the share mount of a location, which is checked again: records are hostile input.
func newShare(root string, location backend.Location) (share, error) {
	parsed, err := parseSource("device", location.Device)
	if err == nil && (parsed.subdir != "" || !directory.IsClean(location.Subdir)) {
		err = fmt.Errorf("subdir=%q is no clean relative directory", location.Subdir)
	}
	d := &draft{legacy: true} // it was allowed when the volume was made
	for _, option := range location.MountOptions {
		if problems := d.take(mountoption.Split(option)); err == nil && len(problems) > 0 {
			err = problems[0]
		}
	}
	if err != nil {
		return share{}, fmt.Errorf("the volume's record is not usable: %w", err)
	}
	s := share{
		server: parsed.server, name: parsed.share, device: parsed.device(), credentials: location.Credentials, versions: dialects, port: "445",
	}
	s.choose(slices.Concat(defaults, location.MountOptions))
	s.options = append(s.options, ownership(location)...)
	s.key = s.hash()
	s.first = path.Join(root, s.key)
	s.location = location
	s.location.Subdir, s.location.Adopted, s.location.ReadOnly = "", false, false
	return s, nil
}

// choose sorts the options out; later ones win.
func (s *share) choose(options []string) {
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "vers":
			s.versions = []string{value}
			continue
		case "ip":
			s.address = value
			continue
		case "port":
			s.port = value
		case "actimeo": // the kernel ignores it beside the other two
			s.options = without(s.options, "acregmax", "acdirmax")
		}
		s.options = keep(s.options, option)
		if ruleOf[name].undo {
			s.options = without(s.options, name)
		}
	}
}

// ownership are the options that give every file of the share one owner and one mode.
func ownership(location backend.Location) []string {
	fileMode := location.FileMode
	if fileMode == 0 {
		fileMode = location.Mode &^ 0o111
	}
	return []string{
		fmt.Sprintf("uid=%d", location.UID), fmt.Sprintf("gid=%d", location.GID),
		"dir_mode=" + chmod(location.Mode), "file_mode=" + chmod(fileMode),
	}
}

func chmod(mode fs.FileMode) string { return fmt.Sprintf("%#o", uint32(mode&0o7777)) }

// hash is the key: 64 bits of the SHA-256 of all that must be equal. Server and share are compared without case, as SMB
// does.
func (s *share) hash() string {
	parts := []string{strings.ToLower(s.device), s.credentials, s.address, strings.Join(s.versions, " ")}
	options := slices.Sorted(slices.Values(s.options))
	sum := sha256.Sum256([]byte(strings.Join(append(parts, options...), "\x00")))
	return hex.EncodeToString(sum[:8])
}

// request is what the kernel is asked for, with one dialect and address. A mount that replaces a stale one of the same address gets
// a connection of its own: on the old one it would be the old mount again.
func (s *share) request(version, address string) mounter.Share {
	request := mounter.Share{Source: s.device, Target: s.target}
	given := slices.Concat([]string{"ip=" + address, "vers=" + version}, s.options)
	if s.stale != "" && address == s.mounted && !slices.Contains(given, "nosharesock") {
		given = append(given, "nosharesock")
	}
	for _, option := range given {
		name, value, valued := strings.Cut(option, "=")
		request.Options = append(request.Options, mounter.Option{Name: name, Value: value, Flag: !valued})
	}
	return request
}
