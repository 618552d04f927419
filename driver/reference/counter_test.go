package reference_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/reference"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

var (
	start  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first  = reference.Engine{PID: 100, Started: 5000}
	second = reference.Engine{PID: 100, Started: 9000}
)

func open(t *testing.T, dir string, fault ...durable.Option) *reference.Counter {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	counter, err := reference.Open(dir, reference.Options{
		Log: logrus.NewEntry(log), Now: func() time.Time { return start }, Durable: fault,
	})
	assert.NilError(t, err)
	t.Cleanup(func() { _ = counter.Close() })
	return counter
}

func add(t *testing.T, c *reference.Counter, volume, id string, engine reference.Engine, want int) {
	t.Helper()
	uses, err := c.Add(volume, "id-of-"+volume, id, engine)
	assert.NilError(t, err)
	assert.Equal(t, uses, want)
}

func drop(t *testing.T, c *reference.Counter, volume, id string, want int) {
	t.Helper()
	left, err := c.Drop(volume, id)
	assert.NilError(t, err)
	assert.Equal(t, left, want)
}

func TestCounting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "references")
	c := open(t, dir)
	add(t, c, "radarr", "a", first, 1)
	add(t, c, "radarr", "b", first, 2)
	add(t, c, "emby", "a", first, 1)
	drop(t, c, "radarr", "unknown", 2)
	drop(t, c, "unknown", "a", 0)

	c = open(t, dir) // the plugin was killed
	all := c.All()
	assert.Equal(t, len(all), 2)
	assert.DeepEqual(t, all[1], reference.Volume{Name: "radarr", ID: "id-of-radarr", Uses: []reference.Use{
		{ID: "a", Engine: first, Since: start}, {ID: "b", Engine: first, Since: start},
	}})
	drop(t, c, "radarr", "a", 1)
	drop(t, c, "radarr", "a", 1)
	drop(t, c, "radarr", "b", 0)
	_, has := c.Of("radarr")
	assert.Assert(t, !has)
	assert.Equal(t, len(open(t, dir).All()), 1)
}

func TestReapOfAnEndedEngine(t *testing.T) {
	c := open(t, t.TempDir())
	add(t, c, "radarr", "old", first, 1)
	add(t, c, "radarr", "again", first, 2)
	add(t, c, "radarr", "again", second, 3) // a restart=always container mounts again with its old ID
	before, _ := c.Of("radarr")
	left, err := c.Reap("radarr", func(use reference.Use) bool { return use.Engine != second })
	assert.NilError(t, err)
	assert.Equal(t, left, 1)
	after, _ := c.Of("radarr")
	assert.DeepEqual(t, after.Uses, []reference.Use{{ID: "again", Engine: second, Since: start}})
	assert.Equal(t, len(before.Uses), 3, "what was given out does not change")
}

func TestAnOlderVolumeOfTheName(t *testing.T) {
	c := open(t, t.TempDir())
	add(t, c, "radarr", "a", first, 1)
	_, err := c.Add("radarr", "another", "b", first)
	assert.ErrorIs(t, err, reference.ErrOtherVolume)
	assert.Error(t, err, "an older volume of this name is still in use: volume radarr (id-of-radarr) has 1 uses; stop the containers that "+
		"use it on this node, then mount volume another again")
	drop(t, c, "radarr", "a", 0)
	_, err = c.Add("radarr", "another", "b", first)
	assert.NilError(t, err)
}

func TestDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	add(t, open(t, dir), "good", "a", first, 1)
	for name, text := range map[string]string{
		"torn":  `{"volume":"torn","volume_id":"x","uses":[`,
		"other": `{"volume":"good","volume_id":"x","uses":[{"id":"a"}]}`,
		"none":  `{"volume":"none","volume_id":"x","uses":[]}`,
		"empty": `{"volume":"empty","volume_id":"x","uses":[{"id":""}]}`,
	} {
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600))
	}
	assert.NilError(t, os.WriteFile(filepath.Join(dir, ".tmp-left"), nil, 0o600))
	for range 2 { // the second start reports them as well
		c := open(t, dir)
		assert.Equal(t, len(c.All()), 1)
		problems := c.Trouble()
		assert.Equal(t, len(problems), 4)
		assert.Equal(t, problems[0].File, filepath.Join(dir, ".damaged-empty.json"))
		assert.ErrorContains(t, errors.New(problems[0].Text), "the uses of volume empty on this node are not known")
	}
	_, err := os.Stat(filepath.Join(dir, ".tmp-left"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// TestEveryFault fails, and dies at, each durable step: memory and files agree, and what was reported is kept.
func TestEveryFault(t *testing.T) {
	injected := errors.New("injected")
	points := 0
	for _, dies := range []bool{false, true} {
		for at := 1; ; at++ {
			dir := t.TempDir()
			steps := 0
			c := open(t, dir, durable.WithFault(func(string, string) error {
				steps++
				if steps == at || dies && steps > at {
					return injected
				}
				return nil
			}))
			uses := map[string]bool{}
			for _, id := range []string{"a", "b"} {
				if _, err := c.Add("radarr", "x", id, first); err == nil {
					uses[id] = true
				}
			}
			if left, err := c.Drop("radarr", "a"); err == nil {
				delete(uses, "a")
				assert.Equal(t, left, len(uses))
			}
			if steps < at {
				break
			}
			points++
			present, _ := c.Of("radarr")
			assert.Equal(t, len(present.Uses), len(uses))
			loaded, _ := open(t, dir).Of("radarr")
			for _, use := range loaded.Uses {
				assert.Assert(t, uses[use.ID])
			}
			assert.Equal(t, len(loaded.Uses), len(uses))
		}
	}
	t.Logf("measured: %d points", points)
	assert.Assert(t, points >= 18, "%d points", points)
}

func TestNamesThatLeadOutside(t *testing.T) {
	c := open(t, t.TempDir())
	for _, name := range []string{"../x", "/x", "a/../../x"} {
		_, err := c.Add(name, "x", "a", first)
		assert.ErrorIs(t, err, durable.ErrName)
		_, has := c.Of(name)
		assert.Assert(t, !has)
	}
}

func BenchmarkAddDrop(b *testing.B) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	c, err := reference.Open(b.TempDir(), reference.Options{Log: logrus.NewEntry(log)})
	assert.NilError(b, err)
	for b.Loop() {
		_, err := c.Add("radarr", "x", "a", first)
		assert.NilError(b, err)
		_, err = c.Drop("radarr", "a")
		assert.NilError(b, err)
	}
}
