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
	// distrusted is for how many shares a login must have been refused, and for none accepted since, to be taken for wrong: the server's
	// other shares are then not asked for at once either, since servers count the logins to all of them. One that refuses a user two shares
	// may just give him no right on them.
	distrusted = 3
)

// refusal is a login that a server refused.
type refusal struct {
	number syscall.Errno
	at     time.Time
	times  int
}

// next is when the server is asked again.
func (r refusal) next() time.Time {
	return r.at.Add(min(firstRefusal<<max(min(r.times-1, 10), 0), longestRefusal))
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

// refusals are the logins that were refused last, by share and login, and by server and login: with another user or password the server
// is asked at once.
type refusals map[string]refusal

// attempt names a login to a share, without showing it.
func (b *Backend) attempt(device string, login credential.Credentials) string {
	return strings.ToLower(device) + "\x00" + b.logins.digest(login)
}

// ofServer names a login to all shares of a server.
func (b *Backend) ofServer(s share, login credential.Credentials) string {
	return b.attempt("//"+s.server+":"+s.port, login)
}

// spared is the answer to a login that the server refused a moment ago. An operator's test is always made, and a guest cannot be
// locked out.
func (b *Backend) spared(s share, login credential.Credentials) error {
	if s.testing || s.credentials == "" {
		return nil
	}
	b.mu.Lock()
	last, known := b.refusals[b.attempt(s.device, login)]
	server := b.refusals[b.ofServer(s, login)]
	b.mu.Unlock()
	if known && b.now().Before(last.next()) {
		return b.explainSpared(s, last.number, b.explain(s, last.number).Error()+fmt.Sprintf(". It said so at %s, and is asked again after %s",
			last.at.UTC().Format(time.RFC3339), last.next().UTC().Format(time.RFC3339)))
	}
	next := server.next()
	if known { // a share that was not asked for yet goes first: it may be let in
		next = next.Add(firstRefusal)
	}
	if server.times < distrusted || !b.now().Before(next) {
		return nil
	}
	return b.explainSpared(s, server.number, fmt.Sprintf("%s: the server %s refused %s for several shares, last at %s: the user or password is wrong. %s. This share is asked for after %s",
		s.device, s.server, s.login(), server.at.UTC().Format(time.RFC3339), s.fill("{repair}"), next.UTC().Format(time.RFC3339)))
}

// explainSpared says why a server is not asked now, and how it is asked all the same.
func (b *Backend) explainSpared(s share, number syscall.Errno, text string) error {
	text += ", so that it does not lock the user out"
	if !s.inline() || !s.creating { // else nothing has these credentials yet
		text += "; `docker homelab credentials test " + s.credentials + "` asks at once"
	}
	return &backend.Failure{Err: number, Text: text}
}

// asked remembers what the server said to a login.
func (b *Backend) asked(s share, login credential.Credentials, err error) {
	number, no := loginRefused(err)
	b.mu.Lock()
	defer b.mu.Unlock()
	now, one, all := b.now(), b.attempt(s.device, login), b.ofServer(s, login)
	maps.DeleteFunc(b.refusals, func(_ string, last refusal) bool { return now.Sub(last.at) > forgotten })
	switch {
	case no && s.credentials != "":
		before, server := b.refusals[one].times, b.refusals[all].times
		b.refusals[one] = refusal{number: number, at: now, times: before + 1}
		if before == 0 || server >= distrusted {
			b.refusals[all] = refusal{number: number, at: now, times: server + 1}
		}
	case err == nil:
		delete(b.refusals, one)
		delete(b.refusals, all)
	}
}
