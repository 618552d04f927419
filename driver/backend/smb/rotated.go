package smb

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
)

// testLimit bounds one login of [Backend.Test]: askLimit for the server, and some seconds for its turn and the kernel.
const testLimit = 25 * time.Second

// rotatedError says that a share is mounted with other credentials than those that are stored by now.
type rotatedError struct{ credentials string }

func (e *rotatedError) Error() string {
	return fmt.Sprintf("the credentials %q have changed", e.credentials)
}

// Is says that such a mount is not for new containers.
func (*rotatedError) Is(target error) bool { return target == errStale }

// logins remembers with what each mount was made, as a digest that only this process can make.
type logins struct {
	key  []byte
	made map[string]string // by target
}

func newLogins() logins {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails (crypto/rand)
	return logins{key: key, made: map[string]string{}}
}

func (l logins) digest(c credential.Credentials) string {
	sum := hmac.New(sha256.New, l.key)
	_, _ = sum.Write([]byte(strings.Join([]string{c.Username, c.Domain, c.Password.Reveal()}, "\x00")))
	return string(sum.Sum(nil))
}

// loggedIn remembers the credentials of a mount that was made.
func (b *Backend) loggedIn(target string, login credential.Credentials) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logins.made[target] = b.logins.digest(login)
}

func (b *Backend) loggedOut(target string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.logins.made, target)
}

// rotated is the reason for a new mount when a volume asks for one, and its credentials have changed since the share was mounted.
// Credentials that cannot be read say nothing of a mount that works, nor is it known what an earlier process used.
func (b *Backend) rotated(ctx context.Context, s share) error {
	if s.credentials == "" || s.background {
		return nil
	}
	login, err := b.credentials.Get(ctx, s.credentials)
	if err != nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.logins.digest(login)
	made, known := b.logins.made[s.target]
	if !known {
		b.logins.made[s.target] = now
	}
	if !known || made == now {
		return nil
	}
	return &rotatedError{s.credentials}
}

func (e *rotatedError) note() string {
	return fmt.Sprintf("the credentials %q were changed: new containers log in with the new ones; those that were started before keep their connection, and "+
		"when it breaks they log in with the old ones: restart them if they report errors", e.credentials)
}

// testRoot is the folder for the mounts of [Backend.Test].
func (b *Backend) testRoot() string { return path.Join(b.root, "test") }

// Test logs in to the share of a location with a connection of its own, whatever is mounted, and leaves nothing behind. It answers
// within 30 s.
func (b *Backend) Test(ctx context.Context, location backend.Location) error {
	s, err := newShare(b.root, location)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	unlock, err := b.tests.Lock(ctx, s.key)
	if err != nil {
		return fmt.Errorf("another test of %s is still going on: %w", s.device, err)
	}
	defer unlock()
	s.target, s.testing = path.Join(b.testRoot(), s.key), true
	s.options = keep(s.options, "nosharesock")
	if err := b.kernel.Unmount(ctx, s.target); err != nil { // what a test left that was killed
		return b.explain(s, err)
	}
	err = b.mount(ctx, s, &flight{since: time.Now()})
	b.loggedOut(s.target)
	if _, refused := loginRefused(err); refused {
		return &backend.Failure{Text: err.Error(), Err: backend.ErrLogin}
	}
	if err != nil {
		return err
	}
	last, end := context.WithTimeout(context.WithoutCancel(ctx), sweepLimit)
	defer end()
	if err := b.kernel.Unmount(last, s.target); err != nil {
		return errors.Join(errors.New("the login works, but its mount could not be taken away"), b.explain(s, err))
	}
	return nil
}
