package smb

import (
	"context"
	"errors"
	"net/netip"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// askLimit is how long a server may be asked before the kernel is: its name, its port, its greeting. The driver keeps 3 s of a caller's
// 25 s (DESIGN D10) for the way back.
const askLimit = 21 * time.Second

// fly mounts the share at the place that is due.
func (b *Backend) fly(ctx context.Context, s share, own *flight) error {
	newest, err := b.find(ctx, s)
	if err != nil || newest.target != "" && newest.target != s.stale {
		return err // mounted by a flight that ended after the caller had looked
	}
	s.target = s.first
	if newest.target != "" {
		s.target = b.following(newest.target)
	}
	if err := b.mount(ctx, s, own); err != nil {
		return err
	}
	b.log.WithFields(logrus.Fields{"share": s.device, "mount": path.Base(s.target)}).Info("share mounted")
	b.memory.keep(s)
	return nil
}

// attempt is a mount for which the server is ready.
type attempt struct {
	login   credential.Credentials
	address netip.Addr
}

// mount asks the server, then waits for its turn, and asks the kernel.
func (b *Backend) mount(ctx context.Context, s share, own *flight) error {
	ready, err := b.prepare(ctx, &s)
	if err != nil {
		return err
	}
	b.mu.Lock()
	own.queued = true
	b.mu.Unlock()
	give, inTheWay := b.turn.take(ctx, s.server)
	if give == nil {
		return b.explainTurn(s, inTheWay, own.since)
	}
	b.mu.Lock()
	own.kernel = time.Now()
	b.mu.Unlock()
	err = b.perform(ctx, s, ready)
	giveBack(give, err)
	if err != nil {
		return b.explain(s, err)
	}
	return nil
}

// prepare finds out all that can be found out without the kernel: nobody waits for that but who wants the share. What needs no network
// comes first.
func (b *Backend) prepare(ctx context.Context, s *share) (attempt, error) {
	if err := b.allowed(*s); err != nil {
		return attempt{}, err
	}
	var ready attempt
	if s.credentials != "" {
		var err error
		if ready.login, err = b.credentials.Get(ctx, s.credentials); err != nil {
			return attempt{}, err
		}
		s.user = ready.login.Username
	}
	if err := b.spared(*s, ready.login); err != nil {
		return attempt{}, err
	}
	began := time.Now()
	var err error
	if ready.address, err = b.reach(ctx, *s); err == nil && !slices.Contains(s.versions, "1.0") {
		err = b.explainGreeting(*s, ready.address, b.greet(ctx, ready.address, s.port, began.Add(askLimit)))
	}
	if err != nil && ctx.Err() != nil {
		return attempt{}, b.explainAsked(*s, began)
	}
	return ready, err
}

// perform asks the kernel, the newest dialect first. Of several that wait with one wrong login, only the first logs in.
func (b *Backend) perform(ctx context.Context, s share, ready attempt) error {
	err := b.spared(s, ready.login)
	if err != nil {
		return err
	}
	for _, version := range s.versions {
		request := s.request(version, ready.address.String())
		request.User, request.Domain, request.Password = ready.login.Username, ready.login.Domain, ready.login.Password
		if err = b.kernel.MountShare(ctx, request); !refusesDialect(err) {
			break
		}
	}
	b.asked(s, ready.login, err)
	if err != nil {
		return err
	}
	b.loggedIn(s.target, ready.login)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered[strings.ToLower(s.server)] = ready.address
	return nil
}

// giveBack ends a turn, but not before the kernel has answered.
func giveBack(give func(failed bool), err error) {
	if stuck, ok := errors.AsType[*mounter.Error](err); ok && stuck.Done != nil {
		go func() {
			<-stuck.Done
			give(true)
		}()
		return
	}
	give(err != nil)
}

// refusesDialect says whether an older dialect may help. A server that does not speak the one asked for makes the kernel
// say EOPNOTSUPP, or EINVAL and EPROTONOSUPPORT in some kernels.
func refusesDialect(err error) bool {
	return errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}
