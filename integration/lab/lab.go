package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/integration/lab/box"
	"github.com/homelab-storage/homelab-storage/integration/lab/image"
)

// Lab is a running lab. Its methods are safe for use by several goroutines, as long as no two of
// them change the power of the same node.
type Lab struct {
	options Options
	run     *run
	image   *image.Image
	box     *box.Box
	nas     *NAS
	nodes   []*Node
	log     *logrus.Entry
	stop    sync.Once
	stopErr error
	mutex   sync.Mutex // guards what follows
	files   []*os.File // logs, open until Stop
	// registry serves the plugin; nil until one is installed.
	registry *http.Server
}

// Prepare builds the image when it is not cached, so that a later [Start] need not.
func Prepare(ctx context.Context, options Options) error {
	options, err := options.complete()
	if err != nil {
		return err
	}
	if err := Check(); err != nil {
		return err
	}
	made, err := ensureImage(ctx, options)
	if err != nil {
		return err
	}
	return made.Close()
}

func ensureImage(ctx context.Context, options Options) (*image.Image, error) {
	return image.Ensure(ctx, image.Options{Module: options.Module, Cache: cacheFolder(options.Module), Log: options.Log})
}

func cacheFolder(module string) string { return filepath.Join(module, ".cache", "lab") }

// Start builds the image when it is not cached, then starts the NAS and boots all nodes at once. It
// returns when every node's agent answers. The lab lives until [Lab.Stop] or the end of this
// process, not of ctx.
func Start(ctx context.Context, options Options) (*Lab, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	if err := Check(); err != nil {
		return nil, err
	}
	l := &Lab{options: options, log: options.Log}
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(err, l.KeepLogs("start"), l.Stop())
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context) error {
	var err error
	if l.image, err = ensureImage(ctx, l.options); err != nil {
		return err
	}
	if l.run, err = newRun(cacheFolder(l.options.Module), logsFolder(l.options.Module)); err != nil {
		return err
	}
	log, err := l.logFile("box.log")
	if err != nil {
		return err
	}
	if l.box, err = box.Start(ctx, box.Options{Agent: l.image.Agent, Log: log}); err != nil {
		return err
	}
	if err := l.startNetwork(ctx); err != nil {
		return err
	}
	if l.nas, err = startNAS(ctx, l); err != nil {
		return err
	}
	return l.startNodes(ctx)
}

// startNodes boots all nodes at the same time.
func (l *Lab) startNodes(ctx context.Context) error {
	for number := 1; number <= l.options.Nodes; number++ {
		l.nodes = append(l.nodes, &Node{lab: l, number: number})
	}
	return l.eachNode(func(n *Node) error {
		if err := n.makeDisk(ctx); err != nil {
			return err
		}
		return n.Boot(ctx)
	})
}

// eachNode does something with all nodes at the same time and joins the errors.
func (l *Lab) eachNode(do func(*Node) error) error {
	failures := make([]error, len(l.nodes))
	var group sync.WaitGroup
	for i, node := range l.nodes {
		group.Go(func() { failures[i] = do(node) })
	}
	group.Wait()
	return errors.Join(failures...)
}

// Node returns node number 1, 2, ...; it panics when the lab has no such node.
func (l *Lab) Node(number int) *Node {
	if number < 1 || number > len(l.nodes) {
		panic(fmt.Sprintf("lab: node %d asked for, there are %d", number, len(l.nodes)))
	}
	return l.nodes[number-1]
}

// Nodes returns all nodes in order.
func (l *Lab) Nodes() []*Node { return append([]*Node(nil), l.nodes...) }

// NAS returns the storage server.
func (l *Lab) NAS() *NAS { return l.nas }

// Dial connects into the lab's network from where the NAS is, for example to a port of a node.
func (l *Lab) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return l.box.Dial(ctx, network, address)
}

// Heal undoes what tests may have left: nodes without power are booted, paused ones resumed, cables
// and services restored. What lies on disks and what runs inside of nodes stays as it is.
func (l *Lab) Heal(ctx context.Context) error {
	if err := l.restoreNetwork(ctx); err != nil {
		return err
	}
	for _, service := range []*Service{l.nas.ISCSI, l.nas.SMB} {
		if err := service.heal(ctx); err != nil {
			return err
		}
	}
	return l.eachNode(func(n *Node) error { return n.heal(ctx) })
}

// KeepLogs copies all logs to integration/lab/logs/NAME, replacing what is there.
func (l *Lab) KeepLogs(name string) error {
	if l.run == nil {
		return nil
	}
	target, err := l.run.keepLogs(strings.ReplaceAll(name, "/", "_"))
	if err == nil {
		l.log.WithField("logs", target).Info("kept the lab's logs")
	}
	return err
}

// Stop ends every machine and server at once and removes the lab's folder.
func (l *Lab) Stop() error {
	l.stop.Do(func() {
		if l.registry != nil {
			l.stopErr = l.registry.Close()
		}
		if l.box != nil {
			l.stopErr = errors.Join(l.stopErr, l.box.Stop())
		}
		for _, file := range l.files {
			l.stopErr = errors.Join(l.stopErr, file.Close())
		}
		if l.run != nil {
			l.stopErr = errors.Join(l.stopErr, l.run.remove())
		}
		if l.image != nil {
			l.stopErr = errors.Join(l.stopErr, l.image.Close())
		}
	})
	return l.stopErr
}

// logFile opens one of the lab's logs for appending; [Lab.Stop] closes it.
func (l *Lab) logFile(name string) (*os.File, error) {
	file, err := l.run.root.OpenFile(filepath.Join("logs", name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.files = append(l.files, file)
	return file, nil
}
