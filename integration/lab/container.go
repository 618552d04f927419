package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/homelab-storage/homelab-storage/integration/lab/machine"
)

// engineSocket is where the engine of a node listens.
const engineSocket = "/run/docker.sock"

// Container is one that runs on a node.
type Container struct {
	ID  string
	PID int // of its first process, as the node sees it
}

// RunningContainer finds a container by a filter of the engine's list ("name", "label") and its value, and asks the engine's API from here: the
// docker command costs an emulated machine a second, and one that waits must not take the machine from what it waits for.
func (n *Node) RunningContainer(ctx context.Context, filter, value string) (Container, error) {
	filters, err := json.Marshal(map[string][]string{filter: {value}, "status": {"running"}})
	if err != nil {
		return Container{}, err
	}
	var found []struct{ ID string }
	if err := n.engine(ctx, "/containers/json?filters="+url.QueryEscape(string(filters)), &found); err != nil {
		return Container{}, err
	}
	if len(found) == 0 {
		return Container{}, fmt.Errorf("%s: no container with %s=%s runs", n.Name(), filter, value)
	}
	var seen struct{ State struct{ Pid int } }
	if err := n.engine(ctx, "/containers/"+found[0].ID+"/json", &seen); err != nil {
		return Container{}, err
	}
	if seen.State.Pid == 0 {
		return Container{}, fmt.Errorf("%s: container %s has just ended", n.Name(), found[0].ID)
	}
	return Container{ID: found[0].ID, PID: seen.State.Pid}, nil
}

// Inside is a script that runs another as a user in a container's namespaces, as docker exec does with a second of work for containerd and runc.
func (c Container) Inside(user int, script string) string {
	return fmt.Sprintf("exec nsenter --target %d --mount --uts --ipc --net --pid --cgroup --setuid %d --setgid %d sh -ec %s",
		c.PID, user, user, machine.Quote(script))
}

// engine asks the engine's API and decodes its answer.
func (n *Node) engine(ctx context.Context, path string, answer any) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return n.Dial(ctx, "unix", engineSocket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return n.wrap(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return n.wrap(err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the engine answers %s: %s", n.Name(), response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
