// Command floor is a volume plugin that does nothing but bind-mount: no records, no checks, nothing durable. What it costs
// beside the local driver is what any plugin costs, and the benchmark's floor.
package main

import (
	"fmt"
	"os"
	"path"
	"sync"
	"syscall"

	"github.com/docker/go-plugins-helpers/volume"
)

const (
	dataRoot  = "/data"        // in the plugin's root file system
	mountRoot = "/mnt/volumes" // the propagated mount
	socket    = "floor"        // /run/docker/plugins/floor.sock
)

func main() {
	if err := volume.NewHandler(&floor{uses: map[string]int{}}).ServeUnix(socket, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// floor keeps its volumes in memory.
type floor struct {
	mu   sync.Mutex // guards uses
	uses map[string]int
}

func target(name string) string { return path.Join(mountRoot, name) }

// Create makes the volume's directory.
func (f *floor) Create(q *volume.CreateRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uses[q.Name] = 0
	return os.MkdirAll(path.Join(dataRoot, q.Name), 0o755)
}

// Mount binds the directory, the first time.
func (f *floor) Mount(q *volume.MountRequest) (*volume.MountResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uses[q.Name] == 0 {
		if err := os.MkdirAll(target(q.Name), 0o700); err != nil {
			return nil, err
		}
		if err := syscall.Mount(path.Join(dataRoot, q.Name), target(q.Name), "", syscall.MS_BIND, ""); err != nil {
			return nil, err
		}
	}
	f.uses[q.Name]++
	return &volume.MountResponse{Mountpoint: target(q.Name)}, nil
}

// Unmount takes the bind away, the last time.
func (f *floor) Unmount(q *volume.UnmountRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uses[q.Name]--
	if f.uses[q.Name] > 0 {
		return nil
	}
	return syscall.Unmount(target(q.Name), 0)
}

// Get knows the volumes of this run.
func (f *floor) Get(q *volume.GetRequest) (*volume.GetResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.uses[q.Name]; !ok {
		return nil, fmt.Errorf("no volume %q", q.Name)
	}
	return &volume.GetResponse{Volume: &volume.Volume{Name: q.Name, Mountpoint: target(q.Name)}}, nil
}

// List knows the volumes of this run.
func (f *floor) List() (*volume.ListResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all volume.ListResponse
	for name := range f.uses {
		all.Volumes = append(all.Volumes, &volume.Volume{Name: name, Mountpoint: target(name)})
	}
	return &all, nil
}

// Path is where Mount binds.
func (f *floor) Path(q *volume.PathRequest) (*volume.PathResponse, error) {
	return &volume.PathResponse{Mountpoint: target(q.Name)}, nil
}

// Remove forgets the volume; its directory ends with the host.
func (f *floor) Remove(q *volume.RemoveRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.uses, q.Name)
	return nil
}

// Capabilities are those of a driver for one node.
func (f *floor) Capabilities() *volume.CapabilitiesResponse {
	return &volume.CapabilitiesResponse{Capabilities: volume.Capability{Scope: "local"}}
}
