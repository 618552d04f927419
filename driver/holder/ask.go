package holder

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const (
	// AskLimit is how long the plugin of another node is given to answer. It looks for questions every 5 s.
	AskLimit = 12 * time.Second
	// BriefAskLimit is how long it is given when its hold is broken whatever it says: one look of it, and 2 s for its answer. With less,
	// many a plugin that runs would not be heard.
	BriefAskLimit = 7 * time.Second
)

// ErrSilent says that the plugin of another node has not answered.
var ErrSilent = errors.New("the plugin of that node does not answer")

// Question is whether a node still uses a directory, asked by an operator on another one. Nodes have only the pool in common, so it is
// a file there; a node has one question at a time, the latest.
type Question struct {
	Version int    `json:"version"`
	Token   string `json:"token"` // the answer's as well
	Subdir  string `json:"subdir"`
}

// answer is what the node's plugin says.
type answer struct {
	Version int    `json:"version"`
	Token   string `json:"token"`
	// Use says what uses the directory there; empty when it was given back.
	Use string `json:"use"`
}

func askedPath(node string) string  { return backend.NodesFolder + "/" + node + ".asked" }
func answerPath(node string) string { return backend.NodesFolder + "/" + node + ".answer" }

// Ask asks the plugin of a live node about a directory and waits until limit for its answer: what uses it there, or "" when nothing does
// and it was given back. An error that matches [ErrSilent] means that the plugin does not run, or is older than this question.
func (k *Keeper) Ask(ctx context.Context, directory Directory, node string, limit time.Duration) (use string, err error) {
	asked := Question{Version: Version, Token: rand.Text(), Subdir: directory.Subdir}
	if err := k.onPool(ctx, "ask "+node, directory.Pool, func(dir *durable.Dir) error {
		return writeFile(dir, askedPath(node), asked)
	}); err != nil {
		return "", fmt.Errorf("ask the plugin of node %s: %w", node, err)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	poll := time.NewTicker(k.options.Poll)
	defer poll.Stop()
	problem := ErrSilent
	for {
		given, err := k.answered(ctx, directory.Pool, node, asked.Token)
		switch {
		case err == nil && given.Token != "":
			return given.Use, nil
		case err == nil:
			problem = ErrSilent
		case ctx.Err() == nil: // else the look was cut off by the end
			problem = fmt.Errorf("its answer cannot be read: %w", err)
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return "", fmt.Errorf("%w (waited %s)", problem, limit)
		}
	}
}

// answered takes the answer to a question, if it is there.
func (k *Keeper) answered(ctx context.Context, pool backend.Pool, node, token string) (answer, error) {
	var given answer
	err := k.onPool(ctx, "ask "+node, pool, func(dir *durable.Dir) (err error) {
		given, err = take(dir, answerPath(node), func(found answer) bool { return found.Token == token })
		return err
	})
	if err != nil { // the thread may still be writing to given
		return answer{}, err
	}
	return given, nil
}

// Asked takes the question that another node asks this one, if there is one.
func (k *Keeper) Asked(ctx context.Context, pool backend.Pool) (asked Question, ok bool, err error) {
	var found Question
	err = k.onPool(ctx, "asked", pool, func(dir *durable.Dir) (err error) {
		found, err = take(dir, askedPath(k.options.Node), func(Question) bool { return true })
		return err
	})
	if err != nil { // the thread may still be writing to found
		return Question{}, false, err
	}
	return found, found.Token != "" && fs.ValidPath(found.Subdir), nil
}

// Answer answers a question: with what uses the directory on this node, or with "" when it was given back.
func (k *Keeper) Answer(ctx context.Context, pool backend.Pool, asked Question, use string) error {
	return k.onPool(ctx, "asked", pool, func(dir *durable.Dir) error {
		return writeFile(dir, answerPath(k.options.Node), answer{Version: Version, Token: asked.Token, Use: use})
	})
}

func (k *Keeper) onPool(ctx context.Context, what string, pool backend.Pool, work func(*durable.Dir) error) error {
	return k.options.Kernel.Do(ctx, what+" on "+pool.UUID, func() error { return k.inPool(pool, work) })
}

func writeFile(dir *durable.Dir, name string, value any) error {
	text, err := encode(value)
	if err != nil {
		return err
	}
	if err := dir.Mkdir(backend.NodesFolder); err != nil {
		return err
	}
	return dir.Write(name, text)
}

// take reads a file and removes it, if it is there and for the one who reads it. What cannot be read is removed as well.
func take[T any](dir *durable.Dir, name string, mine func(T) bool) (found T, err error) {
	data, err := dir.Read(name, MaxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	var read T
	if json.Unmarshal(data, &read) == nil {
		if !mine(read) {
			return found, nil
		}
		found = read
	}
	return found, dir.Unlink(name)
}
