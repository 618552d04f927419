package protocol

import (
	"context"
	"errors"
	"time"

	"github.com/docker/go-plugins-helpers/volume"
	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver"
)

// Calls of the volume protocol (moby docs/extend/plugins_volume.md).
const (
	callCreate       = "VolumeDriver.Create"
	callRemove       = "VolumeDriver.Remove"
	callMount        = "VolumeDriver.Mount"
	callUnmount      = "VolumeDriver.Unmount"
	callGet          = "VolumeDriver.Get"
	callList         = "VolumeDriver.List"
	callPath         = "VolumeDriver.Path"
	callCapabilities = "VolumeDriver.Capabilities"
)

// none is a request or an answer without content.
type none struct{}

func (s *Server) volumeRoutes() {
	s.changeRoutes()
	s.mountRoutes()
	s.readRoutes()
}

func (s *Server) changeRoutes() {
	route(s, call[volume.CreateRequest]{
		name:   callCreate,
		fields: func(q volume.CreateRequest) logrus.Fields { return named(q.Name) },
		work: func(ctx context.Context, service Service, q volume.CreateRequest, _ driver.Engine) (any, error) {
			return none{}, service.Create(ctx, q.Name, q.Options)
		},
	})
	route(s, call[volume.RemoveRequest]{
		name:   callRemove,
		fields: func(q volume.RemoveRequest) logrus.Fields { return named(q.Name) },
		work: func(ctx context.Context, service Service, q volume.RemoveRequest, _ driver.Engine) (any, error) {
			return none{}, service.Remove(ctx, q.Name)
		},
	})
}

func (s *Server) mountRoutes() {
	route(s, mountCall())
	route(s, call[volume.UnmountRequest]{
		name:   callUnmount,
		fields: func(q volume.UnmountRequest) logrus.Fields { return logrus.Fields{"volume": q.Name, "id": q.ID} },
		work: func(ctx context.Context, service Service, q volume.UnmountRequest, _ driver.Engine) (any, error) {
			return none{}, service.Unmount(ctx, q.Name, q.ID)
		},
	})
}

func mountCall() call[volume.MountRequest] {
	return call[volume.MountRequest]{
		name:   callMount,
		fields: func(q volume.MountRequest) logrus.Fields { return logrus.Fields{"volume": q.Name, "id": q.ID} },
		work: func(ctx context.Context, service Service, q volume.MountRequest, caller driver.Engine) (any, error) {
			mountpoint, err := service.Mount(ctx, q.Name, q.ID, caller)
			if err == nil && mountpoint == "" { // it would give the container the plugin's root (FACTS 1)
				err = errors.New("homelab-storage has no mountpoint for the volume: please report this with the plugin's log")
			}
			return volume.MountResponse{Mountpoint: mountpoint}, err
		},
		undo: func(ctx context.Context, service Service, q volume.MountRequest) error {
			return service.Unmount(ctx, q.Name, q.ID)
		},
	}
}

func (s *Server) readRoutes() {
	route(s, call[volume.GetRequest]{
		name:   callGet,
		fields: func(q volume.GetRequest) logrus.Fields { return named(q.Name) },
		work: func(ctx context.Context, service Service, q volume.GetRequest, _ driver.Engine) (any, error) {
			info, err := service.Get(ctx, q.Name)
			return volume.GetResponse{Volume: public(info)}, err
		},
		hush: func(err error) bool { return !errors.Is(err, driver.ErrNotFound) },
	})
	route(s, call[volume.PathRequest]{
		name:   callPath,
		fields: func(q volume.PathRequest) logrus.Fields { return named(q.Name) },
		work: func(ctx context.Context, service Service, q volume.PathRequest, _ driver.Engine) (any, error) {
			mountpoint, err := service.Path(ctx, q.Name)
			return volume.PathResponse{Mountpoint: mountpoint}, err
		},
	})
	route(s, call[none]{
		name: callList, bare: true,
		work: func(ctx context.Context, service Service, _ none, _ driver.Engine) (any, error) {
			all, err := service.List(ctx)
			answer := volume.ListResponse{Volumes: make([]*volume.Volume, len(all))}
			for i, info := range all {
				answer.Volumes[i] = public(info)
			}
			return answer, err
		},
	})
	s.handler.HandleFunc("/"+callCapabilities, s.capabilities)
}

func named(name string) logrus.Fields { return logrus.Fields{"volume": name} }

// public is what the engine shows of a volume. A time that is not RFC 3339 would fail the whole List (FACTS 1).
func public(info driver.Info) *volume.Volume {
	shown := &volume.Volume{Name: info.Name, Mountpoint: info.Mountpoint, Status: info.Status}
	if !info.CreatedAt.IsZero() {
		shown.CreatedAt = info.CreatedAt.UTC().Format(time.RFC3339)
	}
	return shown
}
