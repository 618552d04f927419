package smb

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// sentence is what an error number of a share mount means (FACTS 4) and what to do. Words in braces are filled in.
type sentence struct {
	number syscall.Errno
	away   bool
	text   string
}

//nolint:gochecknoglobals // a constant table
var sentences = []sentence{
	{syscall.EACCES, false, "the server refused {login}: {reason} no right on the share {name}. {repair}, and check the share's permissions"},
	{syscall.EPERM, false, "the server refused {login}: it demands signing, encryption or another kind of login. Add o=seal or o=sec=..., or change the server's settings"},
	{syscall.ENOENT, false, "the server {server} has no share {name}: check its name with `smbclient -L //{server}`"},
	{syscall.ENXIO, false, "the server {server} has no share {name}: check its name with `smbclient -L //{server}`"},
	{syscall.ECONNREFUSED, true, "the server {server} refuses connections: start its SMB service"},
	{syscall.EHOSTUNREACH, true, "the server {server} cannot be reached: is it switched on, and is this node in its network?"},
	{syscall.ENETUNREACH, true, "the server {server} cannot be reached: this node has no route to its network"},
	{syscall.ETIMEDOUT, true, "the server {server} does not answer: it is off, or a firewall drops the connection"},
	{syscall.EHOSTDOWN, true, "the server {server} accepted the connection and then said nothing: its SMB service hangs, restart it"},
	{syscall.EAGAIN, true, "the connection to the server {server} was lost while it was being set up: its SMB service has just been restarted, or hangs"},
	{syscall.ECONNRESET, true, "the connection to the server {server} was reset while it was being set up: look into the server's log"},
	{syscall.ECONNABORTED, true, "the connection to the server {server} was broken while it was being set up: look into the server's log"},
	{syscall.EOPNOTSUPP, false, "the server {server} speaks none of the dialects {versions}: enable SMB 3 on it, or name its dialect with o=vers=..."},
	{syscall.EPROTONOSUPPORT, false, "the server {server} speaks none of the dialects {versions}: enable SMB 3 on it, or name its dialect with o=vers=..."},
	{syscall.EINVAL, false, "the kernel refused an option or a dialect ({versions}): leave out options of o= that this kernel does not know; `dmesg` names them"},
	{syscall.ENOKEY, false, "there is no key for {login}: the password expired, or Kerberos has no ticket on this host. {repair}"},
	{syscall.EKEYEXPIRED, false, "the password of {login} expired: change it on the server. {repair}"},
	{syscall.EKEYREVOKED, false, "the account of {login} is locked or disabled: enable it on the server"},
	{syscall.EKEYREJECTED, false, "the server refused the key of {login}. {repair}"},
	{syscall.ESTALE, true, "the server {server} does not know the share {name} any more as it was mounted: it made the share anew, and mounting it again has not helped yet; look into the server's log"},
	{syscall.EREMOTE, false, "the share {name} or the directory in it is a DFS link to another server, which is not followed: write the server and share that it leads to, or o=dfs"},
	{syscall.ELIBACC, false, "this node's kernel does not have the character set of o=iocharset: leave the option out, or install the module (Ubuntu: apt install linux-modules-extra-$(uname -r))"},
	{syscall.ENODEV, false, "this node's kernel has no SMB client: install the module cifs (`modprobe cifs`)"},
}

// explain turns an error of the kernel into a sentence for a person.
func (b *Backend) explain(s share, err error) error {
	if _, ok := errors.AsType[*backend.Failure](err); ok {
		return err
	}
	var stuck *mounter.Error
	if (errors.Is(err, mounter.ErrStuck) || errors.Is(err, mounter.ErrBusy)) && errors.As(err, &stuck) {
		return b.explainStuck(s, stuck.Since)
	}
	for _, row := range sentences {
		if errors.Is(err, row.number) {
			return &backend.Failure{Away: row.away, Err: err, Text: s.device + ": " + s.fill(row.text) + " (" + row.number.Error() + ")"}
		}
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return &backend.Failure{Err: err, Text: fmt.Sprintf("%s cannot be used: %v; look into `dmesg` for the reason", s.device, number)}
	}
	return &backend.Failure{Err: err, Text: fmt.Sprintf("%s cannot be used: %v", s.device, err)}
}

// explainStuck says that the kernel has not answered.
func (b *Backend) explainStuck(s share, since time.Time) error {
	return &backend.Failure{Away: true, Err: mounter.ErrBusy, Text: fmt.Sprintf(
		"%s: the server %s has not answered since %s: restart its SMB service or its machine; volumes on it work again by themselves then",
		s.device, s.server, since.UTC().Format(time.RFC3339))}
}

// explainTurn says that the kernel was busy with another mount all the time, and what to do about that one. The mount is not known when
// it ended just then.
func (b *Backend) explainTurn(s share, inTheWay holder, since time.Time) error {
	switch {
	case !inTheWay.until.IsZero():
		return &backend.Failure{Away: true, Err: mounter.ErrBusy, Text: fmt.Sprintf(
			"%s: the last mount from the server %s failed after others had waited for it in vain, so that other servers' shares go first until %s: try again then",
			s.device, s.server, inTheWay.until.UTC().Format(time.RFC3339))}
	case inTheWay.server == "":
		return b.explainAsked(s, since)
	case strings.EqualFold(inTheWay.server, s.server):
		return b.explainStuck(s, inTheWay.since)
	}
	return &backend.Failure{Away: true, Err: mounter.ErrBusy, Text: fmt.Sprintf(
		"%s: the kernel of this node mounts one share after another, and has waited for the server %s since %s: restart that server's SMB service or its machine; "+
			"this volume, whose server %s answers, works again by itself then", s.device, inTheWay.server, inTheWay.since.UTC().Format(time.RFC3339), s.server)}
}

// explainAsked says that the server may still answer.
func (b *Backend) explainAsked(s share, since time.Time) error {
	return &backend.Failure{Away: true, Err: mounter.ErrBusy, Text: fmt.Sprintf(
		"%s: the server %s has been asked since %s, and this call could not wait longer for its answer: try again", s.device, s.server, since.UTC().Format(time.RFC3339))}
}

// explainWaiting says what a flight waits for whose caller goes before it ends.
func (b *Backend) explainWaiting(s share, current *flight) error {
	b.mu.Lock()
	queued, kernel := current.queued, current.kernel
	b.mu.Unlock()
	switch {
	case !kernel.IsZero():
		return b.explainStuck(s, kernel)
	case queued:
		return b.explainTurn(s, b.turn.inTheWay(s.server), current.since)
	}
	return b.explainAsked(s, current.since)
}

// insideError is a failure inside of a share that is mounted.
type insideError struct{ err error }

func (e *insideError) Error() string { return e.err.Error() }

func (e *insideError) Unwrap() error { return e.err }

func inside(err error) error {
	if err == nil {
		return nil
	}
	return &insideError{err}
}

// told explains what a visit came to; a share that could not be mounted was explained before.
func (b *Backend) told(s share, err error) error {
	if _, ok := errors.AsType[*insideError](err); !ok {
		return err
	}
	return b.explain(s, err)
}

// explainDirectory says what is wrong for a volume, and whether that is its sub-directory alone.
func (b *Backend) explainDirectory(s share, volume backend.Volume, err error) (explained error, alone bool) {
	full := s.device + "/" + volume.Location.Subdir
	if _, ok := errors.AsType[*insideError](err); !ok || errors.Is(err, errStale) {
		return b.told(s, err), false
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &backend.Failure{Err: err, Text: fmt.Sprintf(
			"the directory %s of volume %s does not exist any more: make it on the server, or remove the volume (docker volume rm %s) and create it again",
			full, volume.Name, volume.Name)}, true
	case errors.Is(err, directory.ErrLink), errors.Is(err, directory.ErrNotDirectory), errors.Is(err, directory.ErrSwapped), errors.Is(err, directory.ErrOtherFilesystem):
		return &backend.Failure{Err: err, Text: fmt.Sprintf("volume %s cannot use %s: %v; a volume's directory must be a real one", volume.Name, full, err)}, true
	case errors.Is(err, syscall.EACCES):
		return &backend.Failure{Err: err, Text: fmt.Sprintf("%s: %s has no right to use or make the directory %q: change the share's permissions", s.device, s.login(), volume.Location.Subdir)}, true
	}
	return b.explain(s, err), false
}

// inline says that user and password were given in the volume's options: nobody knows the name that they are stored under.
func (s *share) inline() bool { return strings.HasPrefix(s.credentials, "volume-") }

func (s *share) login() string {
	switch {
	case s.credentials == "":
		return "a guest"
	case s.inline() && s.user == "":
		return "the user of the volume's options"
	case s.inline():
		return fmt.Sprintf("the user %q", s.user)
	}
	return fmt.Sprintf("the user of the credentials %q", s.credentials)
}

func (s *share) fill(text string) string {
	reason := "the user or password is wrong, or the user has"
	repair := "Repair them with `docker homelab credentials set " + s.credentials + " --username USER`"
	switch {
	case s.credentials == "":
		reason, repair = "it wants a user and password, or guests have", "Give the volume credentials"
	case s.inline() && s.creating:
		repair = "Correct user and password in the volume's options"
	case s.inline():
		repair = "They were written in the volume's options, of which the engine keeps the first it saw: give the right password with " +
			"`docker homelab credentials rotate " + s.credentials + "`, or remove the volume and create it again"
	}
	return strings.NewReplacer("{server}", s.server, "{name}", s.name, "{login}", s.login(),
		"{versions}", strings.Join(s.versions, ", "), "{reason}", reason, "{repair}", repair).Replace(text)
}
