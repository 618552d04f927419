//go:build lab

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// calls are what the engine says to the plugin, said by the test: the engine's own time, which is long on an emulated machine, is
// not the plugin's.
type calls struct {
	site   *site
	client http.Client
}

func (s *site) calls(t *testing.T) *calls {
	t.Helper()
	socket := s.ok(t, "ls /run/docker/plugins/*/homelab-storage.sock")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.node.Dial(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &calls{site: s, client: http.Client{Transport: transport}}
}

// ask makes one call and returns the plugin's error as the engine would show it.
func (c *calls) ask(ctx context.Context, name string, question map[string]any) error {
	text, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/VolumeDriver."+name, bytes.NewReader(text))
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("the call itself failed: %w", err)
	}
	defer response.Body.Close()
	var answer struct{ Err string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("the answer is not understood: %w", err)
	}
	if answer.Err != "" {
		return errors.New(answer.Err)
	}
	return nil
}

// timed makes one call and tells how long it took.
func (c *calls) timed(ctx context.Context, name string, question map[string]any) (time.Duration, error) {
	began := time.Now()
	err := c.ask(ctx, name, question)
	return time.Since(began), err
}

// create makes a volume. The first mount of an emulated machine that has more to do may take longer than a call is given; Swarm and
// Compose try again, too.
func (c *calls) create(t *testing.T, volume string, options map[string]string) {
	t.Helper()
	assert.NilError(t, c.site.becomes(t.Context(), func() error {
		return c.ask(t.Context(), "Create", map[string]any{"Name": volume, "Opts": options})
	}))
}

func (c *calls) mount(ctx context.Context, volume, id string) error {
	return c.ask(ctx, "Mount", map[string]any{"Name": volume, "ID": id})
}

func (c *calls) unmount(ctx context.Context, volume, id string) error {
	return c.ask(ctx, "Unmount", map[string]any{"Name": volume, "ID": id})
}

func (c *calls) remove(t *testing.T, volumes ...string) {
	t.Helper()
	for _, volume := range volumes {
		assert.NilError(t, c.ask(t.Context(), "Remove", map[string]any{"Name": volume}))
	}
}

// times are how long calls took.
type times []time.Duration

func (d times) median() time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2]
}

func (d times) longest() time.Duration {
	if len(d) == 0 {
		return 0
	}
	return slices.Max(d)
}

func (d times) String() string {
	if len(d) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d times, median %s, longest %s", len(d), d.median().Round(10*time.Microsecond), d.longest().Round(10*time.Microsecond))
}

// bystander is a database on the pool, whose volume is mounted and whose node's volumes are listed all the time.
type bystander struct {
	mounts, lists times
	stop          context.CancelFunc
	done          chan error
}

// watched is the bystander's volume.
const watched = "bystander"

// bystand begins to watch; the returned function ends it.
func (c *calls) bystand(t *testing.T) func() *bystander {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := &bystander{stop: cancel, done: make(chan error, 1)}
	go func() { b.done <- c.watch(ctx, b) }()
	return func() *bystander {
		cancel()
		assert.NilError(t, <-b.done)
		return b
	}
}

func (c *calls) watch(ctx context.Context, b *bystander) error {
	// The calls are not cut off: an Unmount would be missing.
	whole := context.WithoutCancel(ctx)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		id := map[string]any{"Name": watched, "ID": fmt.Sprintf("turn%d", turn)}
		took, err := c.timed(whole, "Mount", id)
		if err != nil {
			return err
		}
		b.mounts = append(b.mounts, took)
		if took, err = c.timed(whole, "List", map[string]any{}); err != nil {
			return err
		}
		b.lists = append(b.lists, took)
		if err := c.ask(whole, "Unmount", id); err != nil {
			return err
		}
	}
}
