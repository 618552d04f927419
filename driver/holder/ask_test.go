package holder_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
)

// asked waits for a question.
func asked(t *testing.T, l *lab, on *host) holder.Question {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		question, ok, err := on.Asked(t.Context(), l.pool)
		assert.NilError(t, err)
		if ok {
			return question
		}
		<-ticker.C
	}
}

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		one, two := l.node(1, "boot-1"), l.node(2, "boot-2")
		for _, use := range []string{"the volume radarr is used", ""} {
			answered := make(chan error, 1)
			go func() {
				question := asked(t, l, two)
				assert.Check(t, question.Subdir == "apps/radarr")
				assert.Check(t, two.Answer(t.Context(), l.pool, holder.Question{Token: "another one's"}, "nothing of yours") == nil)
				answered <- two.Answer(t.Context(), l.pool, question, use)
			}()
			said, err := one.Ask(t.Context(), l.directory("apps/radarr"), "node-2", holder.AskLimit)
			assert.NilError(t, err)
			assert.Equal(t, said, use)
			assert.NilError(t, <-answered)
		}
		_, ok, err := two.Asked(t.Context(), l.pool)
		assert.NilError(t, err)
		assert.Assert(t, !ok, "a question is asked once")
	})
}

// A plugin that does not run does not answer.
func TestAskInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		one := l.node(1, "boot-1")
		began := time.Now()
		_, err := one.Ask(t.Context(), l.directory("apps/radarr"), "node-2", holder.AskLimit)
		assert.ErrorIs(t, err, holder.ErrSilent)
		assert.Equal(t, time.Since(began), holder.AskLimit)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = one.Ask(ctx, l.directory("apps/radarr"), "node-2", holder.AskLimit)
		assert.Assert(t, err != nil)
	})
}

// A pool that went away while an answer was awaited says nothing of the other plugin.
func TestAskWhileThePoolGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		one := l.node(1, "boot-1")
		time.AfterFunc(time.Second, func() { assert.Check(t, os.RemoveAll(l.pool.Private) == nil) })
		_, err := one.Ask(t.Context(), l.directory("apps/radarr"), "node-2", holder.AskLimit)
		assert.Assert(t, !errors.Is(err, holder.ErrSilent), "%v", err)
		assert.ErrorContains(t, err, "its answer cannot be read: the private folder of pool")
	})
}

// Files of the pool are hostile input: what is no question is removed.
func TestAskedNonsense(t *testing.T) {
	l := newLab(t)
	one := l.node(1, "boot-1")
	file := filepath.Join(l.pool.Private, backend.NodesFolder, "node-1.asked")
	assert.NilError(t, os.Mkdir(filepath.Dir(file), 0o700))
	for _, text := range []string{"", "{", `{"token":"x","subdir":"../../etc"}`, `{"token":"","subdir":"radarr"}`, `[]`} {
		assert.NilError(t, os.WriteFile(file, []byte(text), 0o600))
		_, ok, err := one.Asked(t.Context(), l.pool)
		assert.NilError(t, err)
		assert.Assert(t, !ok, text)
		_, err = os.Stat(file)
		assert.ErrorIs(t, err, os.ErrNotExist)
	}
}
