package driver_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// share is a backend that plans shares, and finds them when they answer.
type share struct {
	refuses, answers atomic.Bool
	stages           atomic.Int32
	base             atomic.Pointer[mounter.Place] // where it is mounted, when that matters
	secrets          *credential.Store             // has the logins that are asked for, when that matters
}

func (s *share) Kind() string { return backend.CIFS }

func (s *share) Plan(_ context.Context, request backend.Request) (backend.Plan, error) {
	location := request.Location
	location.Device = cmp.Or(request.Device, request.Share)
	if location.Device == "gone" {
		return backend.Plan{}, errors.New("share \"gone\": it has no device")
	}
	return backend.Plan{Location: location, Username: request.Username, Password: request.Password, Warnings: []string{"inline password"}}, nil
}

func (s *share) Create(_ context.Context, volume backend.Volume, _ bool) (backend.Location, error) {
	if s.refuses.Load() {
		return backend.Location{}, errors.New("wrong password")
	}
	return volume.Location, nil
}

func (s *share) Stage(ctx context.Context, volume backend.Volume) (backend.Staged, error) {
	s.stages.Add(1)
	if s.secrets != nil {
		if _, err := s.secrets.Get(ctx, volume.Location.Credentials); err != nil {
			return backend.Staged{}, err
		}
	}
	if s.refuses.Load() {
		return backend.Staged{}, errors.New("wrong password")
	}
	if base := s.base.Load(); base != nil {
		return backend.Staged{Base: *base, Replaces: true}, nil
	}
	if s.answers.Load() {
		return backend.Staged{}, nil
	}
	return backend.Staged{}, fmt.Errorf("the server nas does not answer: %w", backend.ErrUnavailable)
}

func (s *share) Remove(context.Context, backend.Volume) error { return nil }

func (s *share) Status(backend.Volume) map[string]any { return nil }
