package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Options are what a watcher works with. All are needed unless said otherwise.
type Options struct {
	Environment func(name string) string // os.Getenv
	HostPath    func(path string) string // mounter.Mounter.HostPath
	// Do runs file work on a pool in a thread of its own: mounter.Mounter.Do.
	Do       func(ctx context.Context, key string, work func() error) error
	StateDir string // a path of the host; the last good configuration is kept there
	File     string // replaces CONFIG; may be empty
	Log      *logrus.Entry
}

// Watcher has the configuration in force. Its methods may be called at once from several goroutines.
type Watcher struct {
	options  Options
	state    *durable.Dir
	env      environment
	hostname string
	// base are the problems of the settings, which stay for the life of the process.
	base    []Problem
	current atomic.Pointer[settings.Settings]

	checking sync.Mutex // one Check at a time; guards what follows
	node     nodeFile
	last     nodeFile // the node's file at the last look
	shared   []byte   // the shared file as last read, or as kept from an earlier run
	good     bool     // some configuration, perhaps of an earlier run, was good
	seen     bool     // the configuration in force included the node's file

	telling sync.Mutex // guards problem
	problem error
}

// Open reads the configuration. Whatever is wrong with it, the watcher works: with the last good one, or with the defaults;
// only a state folder that cannot be made is an error.
func Open(ctx context.Context, options Options) (*Watcher, error) {
	state, err := durable.Open(options.HostPath(options.StateDir), durable.MakeAll())
	if err != nil {
		return nil, err
	}
	w := &Watcher{options: options, state: state}
	w.env, w.base = readEnvironment(options.Environment)
	if options.File != "" {
		w.env.process.File = options.File
	}
	if w.hostname, err = os.Hostname(); err != nil {
		options.Log.WithError(err).Warn("host name unknown; set NODE_NAME")
	}
	w.current.Store(&settings.Settings{Node: w.hostname, Defaults: settings.Initial()})
	w.recall()
	w.checking.Lock()
	defer w.checking.Unlock()
	w.node = w.readNode()
	w.last = w.node
	w.apply()
	if w.readShared(ctx) {
		w.apply()
	}
	return w, nil
}

// Current is the configuration in force. It is never nil and never changed.
func (w *Watcher) Current() *settings.Settings { return w.current.Load() }

// Process is what concerns the process, as the settings said it at start.
func (w *Watcher) Process() Process { return w.env.process }

// Errors is nil, or says all that is wrong with the configuration that is not in force.
func (w *Watcher) Errors() error {
	w.telling.Lock()
	defer w.telling.Unlock()
	return w.problem
}

// Close gives the state folder back.
func (w *Watcher) Close() error { return w.state.Close() }

// How often the node's file is looked at, and after how many looks the shared one is.
const (
	pollEvery   = time.Second
	sharedEvery = 5
)

// Run looks for changes until the context ends.
func (w *Watcher) Run(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for look := 1; ; look++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.check(ctx, look%sharedEvery == 0)
		}
	}
}

// check looks at the files once and applies what changed. The node's file counts when two looks found the same: whoever writes it may be
// in the middle, and half a file, or an empty one, is a configuration too.
func (w *Watcher) check(ctx context.Context, sharedToo bool) {
	w.checking.Lock()
	defer w.checking.Unlock()
	node := w.readNode()
	changed := !node.equal(w.node) && node.equal(w.last)
	w.last = node
	if changed {
		w.node = node
	}
	if sharedToo && w.readShared(ctx) {
		changed = true
	}
	if changed {
		w.apply()
	}
}

// apply parses all sources and publishes the result, or tells what is wrong with them.
func (w *Watcher) apply() {
	next, problems := w.build()
	if len(problems) > 0 {
		w.tell(problems)
		return
	}
	w.tell(nil)
	w.current.Store(next)
	w.good, w.seen = true, w.node.present
	w.remember(next)
	w.options.Log.WithFields(logrus.Fields{
		"pools": len(next.Pools), "shares": len(next.Shares),
		"classes": len(next.Classes), "standalone": next.Standalone,
	}).Info("configuration in force")
}

// build makes settings of all sources.
func (w *Watcher) build() (*settings.Settings, []Problem) {
	problems := slices.Clone(w.base)
	if missing := w.missing(); missing != "" {
		problems = append(problems, Problem{File: w.env.process.File, Text: missing})
	}
	if w.node.err != nil {
		problems = append(problems, Problem{File: w.env.process.File, Text: "cannot be read: " + w.node.err.Error()})
	}
	node, more := parse(w.env.process.File, w.node.text, false)
	problems = append(problems, more...)
	from := sources{node: node, environment: w.env, hostname: w.hostname, stateDir: w.options.StateDir}
	if pool, ok := catalogPool(from); ok {
		shared, more := parse(sharedPath(pool), w.shared, true)
		problems = append(problems, more...)
		from.shared = shared
	}
	merged, more := merge(from)
	return merged, append(problems, more...)
}

// missing says what is wrong with a file that is not there, if anything is.
func (w *Watcher) missing() string {
	switch {
	case w.node.present || w.node.err != nil:
		return ""
	case w.seen:
		return "is gone: put it back, or make an empty one to say that nothing is configured"
	case w.env.process.File != DefaultFile:
		return "does not exist: write it, or leave CONFIG (--config) out"
	}
	return ""
}

// tell keeps and logs what is wrong.
func (w *Watcher) tell(problems []Problem) {
	err := joined(problems)
	switch {
	case err == nil:
	case w.good:
		err = fmt.Errorf("the configuration has changed but is not in force, the last good one still is: %w", err)
	default:
		err = fmt.Errorf("the configuration is not in force, and there is no earlier one: %w", err)
	}
	w.telling.Lock()
	defer w.telling.Unlock()
	w.problem = err
	for _, problem := range problems {
		w.options.Log.WithError(problem).Error("configuration not in force")
	}
}

// nodeFile is the node's file as it was read.
type nodeFile struct {
	text    []byte
	present bool
	err     error
}

func (f nodeFile) equal(other nodeFile) bool {
	return f.present == other.present && bytes.Equal(f.text, other.text) && fmt.Sprint(f.err) == fmt.Sprint(other.err)
}

// readNode reads the node's file. It is small: reading it is cheaper than trusting its times.
func (w *Watcher) readNode() nodeFile {
	text, err := readFile(w.options.HostPath(w.env.process.File))
	if errors.Is(err, os.ErrNotExist) {
		return nodeFile{}
	}
	return nodeFile{text: text, present: err == nil, err: err}
}
