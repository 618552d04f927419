package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// hello is the first line on the socket: which node to reach, or that the lab shall end.
type hello struct {
	Node int  `json:"node,omitempty"`
	Down bool `json:"down,omitempty"`
}

// socketPath is where the one lab of "lab up" in this tree listens.
func socketPath() (string, error) {
	module, err := lab.Module()
	return filepath.Join(module, ".cache", "lab", "up.sock"), err
}

// up starts a lab and serves the other commands until ctx ends or one of them says down.
func up(ctx context.Context, nodes int, systemd, bare bool) error {
	path, err := socketPath()
	if err != nil {
		return err
	}
	if conn, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		return errors.Join(conn.Close(), fmt.Errorf(`a lab is up already (%s answers); end it with "lab down"`, path))
	}
	log := logrus.NewEntry(logrus.New())
	l, err := lab.Start(ctx, lab.Options{
		Nodes: nodes, Systemd: systemd, LUNs: []lab.LUN{lab.MediaApps, lab.AppData}, Log: log,
	})
	if err != nil {
		return err
	}
	if !bare {
		err = provision(ctx, l, log)
	}
	if err == nil {
		err = serve(ctx, l, path)
	}
	return errors.Join(err, l.Stop())
}

// serve answers on the socket.
func serve(ctx context.Context, l *lab.Lab, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // nobody listens there
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, listener.Close())
	}
	if _, err := io.WriteString(os.Stdout, explanation(l)); err != nil {
		return errors.Join(err, listener.Close())
	}
	var once sync.Once
	end := func() { once.Do(func() { _ = listener.Close() }) }
	defer context.AfterFunc(ctx, end)()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			if err := forward(ctx, l, conn, end); err != nil {
				fmt.Fprintln(os.Stderr, "lab:", err)
			}
		}()
	}
}

// forward connects one client to the agent of its node.
func forward(ctx context.Context, l *lab.Lab, conn net.Conn, end func()) error {
	defer conn.Close() //nolint:errcheck // the client has gone or is sent away
	var asked hello
	if err := readHello(conn, &asked); err != nil {
		return err
	}
	if asked.Down {
		end()
		return l.Stop() // the client waits for the end of the connection
	}
	if asked.Node < 1 || asked.Node > len(l.Nodes()) {
		return fmt.Errorf("node %d asked for, there are %d", asked.Node, len(l.Nodes()))
	}
	stream, err := l.Node(asked.Node).Stream(ctx)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(stream, conn)
		_ = stream.Close() // the client went away: its command is killed
	}()
	_, _ = io.Copy(conn, stream) // either side may go away: that is how a command ends
	return nil
}

// readHello reads one line without reading ahead: what follows is for the agent.
func readHello(conn io.Reader, asked *hello) error {
	var line []byte
	for char := make([]byte, 1); len(line) < 1024; {
		if _, err := io.ReadFull(conn, char); err != nil {
			return err
		}
		if char[0] == '\n' {
			return json.Unmarshal(line, asked)
		}
		line = append(line, char[0])
	}
	return errors.New("a client sent no line")
}

// explanation says how to work with the lab.
func explanation(l *lab.Lab) string {
	nas := l.NAS()
	var text strings.Builder
	fmt.Fprintf(&text, `
The lab is up. From another terminal, as root, in this folder:

  scripts/lab sh 1                a shell on node1
  scripts/lab exec 1 'docker ps'  one command

Each node has Docker and the plugin, with the pool media-apps at /mnt/iscsi/media-apps (not with -bare). To begin with:

  docker volume create -d homelab-storage -o class=db radarr
  docker run --rm -v radarr:/config homelab-storage/standin:1 sqlite3 /config/radarr.db 'create table t(x)'
  docker homelab status

NAS       %[1]s, in the nodes also "nas"
iSCSI     portal %[2]s, targets %[3]s and %[4]s
SMB       //nas/%[5]s and //nas/%[6]s, user %[7]s, password %[8]q
`, nas.Server(), nas.Portal(), nas.Target(lab.MediaApps.Name), nas.Target(lab.AppData.Name),
		nas.Shares()[0], nas.Shares()[1], nas.Username(), nas.Password())
	for _, node := range l.Nodes() {
		fmt.Fprintf(&text, "%-9s %s\n", node.Name(), node.Address())
	}
	text.WriteString("\nCtrl-C or \"lab down\" (make lab-down) ends it.\n")
	return text.String()
}
