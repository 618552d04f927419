package catalog

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// MaxRecord is the size of the largest record file that is read, in bytes.
const MaxRecord = 64 << 10

// Lengths of names: FACTS 1 (Docker's own rule) and what fits a file name.
const (
	minName, maxName = 2, 128
	maxText          = 4096
)

// errNewer says that a file was written by a newer version in a form that this one cannot read.
var errNewer = errors.New("written by a newer version of homelab-storage; upgrade the plugin on this node")

// ParseRecord reads the text of a volume's record file. Everything in it is hostile until it is checked: paths that lead
// outside, a name other than the file's, unknown kinds and states are refused with an error that matches [ErrInvalid].
// Unknown fields are accepted from a newer version only.
func ParseRecord(name string, data []byte) (Record, error) {
	var record Record
	newer, err := decode(data, &record, &record.Version)
	if err != nil {
		return Record{}, err
	}
	err = record.validate()
	if err == nil && record.Name != name {
		err = fmt.Errorf("%w: the record is of volume %q, but the file is that of %q", ErrInvalid, record.Name, name)
	}
	if err != nil && newer {
		return Record{}, fmt.Errorf("%w: %w", errNewer, err)
	}
	if err != nil {
		return Record{}, err
	}
	return record, nil
}

// decode reads one JSON value, strictly when this version wrote it, and says whether a newer one did. version is the
// version field in what is read.
func decode(data []byte, into any, version *int) (newer bool, err error) {
	if len(data) > MaxRecord {
		return false, fmt.Errorf("%w: %d bytes, at most %d are read", ErrInvalid, len(data), MaxRecord)
	}
	if !json.Valid(data) {
		return false, fmt.Errorf("%w: not one whole JSON value", ErrInvalid)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(into); err == nil && *version >= 1 {
		return *version > Version, nil
	}
	var form struct {
		Version int `json:"version"`
	}
	if again := json.Unmarshal(data, &form); again != nil || form.Version < 1 {
		return false, fmt.Errorf("%w: version %d: %w", ErrInvalid, form.Version, errors.Join(err, again))
	}
	if form.Version == Version {
		return false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return true, fmt.Errorf("%w: %w", errNewer, err)
	}
	return true, nil
}

// validate checks every rule of a record and returns the first one broken.
func (r *Record) validate() error {
	location := &r.Location
	rules := []struct {
		holds bool
		text  string
		value any
	}{
		{validID(r.ID), "the ID must be 32 lower-case hexadecimal digits, not", r.ID},
		{ValidName(r.Name), "the name must match [a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}, not", r.Name},
		{validState(r.State), "the state must be creating, ready or removing, not", r.State},
		{validKind(location.Kind), "the kind of storage must be ocfs2, cifs or local, not", location.Kind},
		{validSubdir(location.Subdir), "the sub-directory must be clean, relative and outside of " + backend.PrivateFolder + ", not", location.Subdir},
		{validUUID(location.PoolUUID), "the pool's UUID must be 32 upper-case hexadecimal digits, not", location.PoolUUID},
		{validDevice(location), "the device must be //server/share without \"..\", not", location.Device},
		{plain(location.Credentials) && !climbs(location.Credentials), "the credentials' name is", location.Credentials},
		{plain(location.Pool) && !strings.Contains(location.Pool, "/"), "the pool's name is", location.Pool},
		{plain(r.Class), "the class is", r.Class},
		{plain(r.Access), "the access is", r.Access},
		{plain(r.Guard), "the guard is", r.Guard},
		{plain(r.CreatedBy), "the node's name is", r.CreatedBy},
		{plain(r.Warnings...), "the warnings are", r.Warnings},
		{plain(location.MountOptions...), "the mount options are", location.MountOptions},
		{validMode(location.Mode), "the mode is", uint32(location.Mode)},
		{validMode(location.FileMode), "the file mode is", uint32(location.FileMode)},
		{location.Size >= 0, "the size is", location.Size},
		{!r.CreatedAt.IsZero(), "the time of creation is", r.CreatedAt},
	}
	for _, rule := range rules {
		if !rule.holds {
			return fmt.Errorf("%w: %s %#v", ErrInvalid, rule.text, rule.value)
		}
	}
	return nil
}

// ValidName says whether a text can name a volume: [a-zA-Z0-9][a-zA-Z0-9_.-]{1,127} (FACTS 1).
func ValidName(name string) bool {
	if len(name) < minName || len(name) > maxName || strings.IndexByte("_.-", name[0]) >= 0 {
		return false
	}
	for at := range len(name) {
		letter := name[at]
		if !alphanumeric(letter) && strings.IndexByte("_.-", letter) < 0 {
			return false
		}
	}
	return true
}

func alphanumeric(letter byte) bool {
	return letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z' || letter >= '0' && letter <= '9'
}

func validID(id string) bool { return len(id) == 32 && strings.ToLower(id) == id && hexadecimal(id) }

func validUUID(uuid string) bool {
	return uuid == "" || len(uuid) == 32 && strings.ToUpper(uuid) == uuid && hexadecimal(uuid)
}

func hexadecimal(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil
}

func validState(state State) bool { return state == Creating || state == Ready || state == Removing }

func validKind(kind string) bool {
	return kind == backend.OCFS2 || kind == backend.CIFS || kind == backend.Local
}

// validSubdir keeps a volume below its pool and out of the private folder.
func validSubdir(subdir string) bool {
	if subdir == "" {
		return true
	}
	first, _, _ := strings.Cut(subdir, "/")
	return plain(subdir) && subdir != "." && fs.ValidPath(subdir) && first != backend.PrivateFolder
}

func validDevice(location *backend.Location) bool {
	device := location.Device
	if device == "" {
		return true
	}
	return plain(device) && strings.HasPrefix(device, "//") && !climbs(device)
}

func climbs(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// validMode allows permission, set-ID and sticky bits, in Go's form or in chmod(2)'s.
func validMode(mode fs.FileMode) bool {
	return mode&^(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky|0o7777) == 0
}

// plain says that texts have no control characters and a sensible length.
func plain(texts ...string) bool {
	for _, text := range texts {
		if len(text) > maxText || strings.IndexFunc(text, unicode.IsControl) >= 0 {
			return false
		}
	}
	return true
}
