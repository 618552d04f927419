package smb

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
)

const (
	// firstRefusal and longestRefusal are for how long a login that the server refused is not tried again: 20 s, 40 s, ... 5 min. Servers
	// lock a user or an address out after some wrong logins in some minutes, and Swarm starts a failed task again every few seconds.
	firstRefusal   = 20 * time.Second
	longestRefusal = 5 * time.Minute
	// forgotten is when a refusal counts as the first one again.
	forgotten = time.Hour
)

// refusal is a login that a server refused.
type refusal struct {
	number syscall.Errno
	at     time.Time
	times  int
}

// next is when the server is asked again.
func (r refusal) next() time.Time {
	return r.at.Add(min(firstRefusal<<min(r.times-1, 10), longestRefusal))
}

// loginRefused says whether the kernel's answer is about who logs in. The user may also have no right on the share, which the kernel
// does not tell apart.
func loginRefused(err error) (syscall.Errno, bool) {
	for _, number := range []syscall.Errno{syscall.EACCES, syscall.ENOKEY, syscall.EKEYEXPIRED, syscall.EKEYREVOKED, syscall.EKEYREJECTED} {
		if errors.Is(err, number) {
			return number, true
		}
	}
	return 0, false
}

// refusals are the logins that were refused last, by share and login: with another user or password the server is asked at once.
type refusals map[string]refusal

// attempt names a login to a share, without showing it.
func (b *Backend) attempt(s share, login credential.Credentials) string {
	return strings.ToLower(s.device) + "\x00" + b.logins.digest(login)
}

// spared is the answer to a login that the server refused a moment ago. An operator's test is always made, and a guest cannot be
// locked out.
func (b *Backend) spared(s share, login credential.Credentials) error {
	if s.testing || s.credentials == "" {
		return nil
	}
	b.mu.Lock()
	last, known := b.refusals[b.attempt(s, login)]
	b.mu.Unlock()
	if !known || !b.now().Before(last.next()) {
		return nil
	}
	failure := &backend.Failure{Err: last.number, Text: b.explain(s, last.number).Error()}
	failure.Text += fmt.Sprintf(". It said so at %s, and is asked again after %s, so that it does not lock the user out",
		last.at.UTC().Format(time.RFC3339), last.next().UTC().Format(time.RFC3339))
	if !s.inline() || !s.creating { // else nothing has these credentials yet
		failure.Text += "; `docker homelab credentials test " + s.credentials + "` asks at once"
	}
	return failure
}

// asked remembers what the server said to a login.
func (b *Backend) asked(s share, login credential.Credentials, err error) {
	number, no := loginRefused(err)
	b.mu.Lock()
	defer b.mu.Unlock()
	now, attempt := b.now(), b.attempt(s, login)
	maps.DeleteFunc(b.refusals, func(_ string, last refusal) bool { return now.Sub(last.at) > forgotten })
	switch last := b.refusals[attempt]; {
	case no && s.credentials != "":
		b.refusals[attempt] = refusal{number: number, at: now, times: last.times + 1}
	case err == nil:
		delete(b.refusals, attempt)
	}
}
