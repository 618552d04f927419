package durable_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

func open(t *testing.T, dir string, options ...durable.Option) *durable.Dir {
	t.Helper()
	opened, err := durable.Open(dir, options...)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// recorder counts steps and fails from the n-th one on, as a process that died there.
type recorder struct {
	steps []string
	die   int // 0: never
	once  bool
}

var errDied = errors.New("the process died")

func (r *recorder) step(op, name string) error {
	r.steps = append(r.steps, op+" "+name)
	if r.die > 0 && (len(r.steps) == r.die || !r.once && len(r.steps) > r.die) {
		return errDied
	}
	return nil
}

func TestWriteIsTwoFsyncs(t *testing.T) {
	var seen recorder
	dir := open(t, t.TempDir(), durable.WithFault(seen.step))
	assert.NilError(t, dir.Write("a.json", []byte("text")))
	assert.DeepEqual(t, seen.steps, []string{
		"create a.json", "write a.json", "fsync a.json", "rename a.json", "fsync-dir .",
	})
	data, err := dir.Read("a.json", 10)
	assert.NilError(t, err)
	assert.Equal(t, string(data), "text")
	info, err := os.Stat(filepath.Join(dir.Path(), "a.json"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o600))
}

func TestVolatileSkipsFsync(t *testing.T) {
	var seen recorder
	dir := open(t, t.TempDir(), durable.WithFault(seen.step), durable.Volatile())
	assert.NilError(t, dir.Write("a", []byte("x")))
	assert.NilError(t, dir.Mkdir("folder"))
	assert.NilError(t, dir.Remove("a"))
	assert.DeepEqual(t, seen.steps, []string{"create a", "write a", "rename a", "mkdir folder", "remove a"})
}

// TestEveryFault fails, and dies at, every step of replacing a file: the old or the new text is there, and a living
// process leaves no temporary file.
func TestEveryFault(t *testing.T) {
	for _, once := range []bool{true, false} {
		for die := 1; die <= 5; die++ {
			path := t.TempDir()
			assert.NilError(t, open(t, path).Write("a", []byte("old")))
			seen := recorder{die: die, once: once}
			err := open(t, path, durable.WithFault(seen.step)).Write("a", []byte("new"))
			assert.ErrorIs(t, err, errDied)
			data, err := open(t, path).Read("a", 10)
			assert.NilError(t, err)
			want := "old"
			if die == 5 { // after the rename
				want = "new"
			}
			assert.Equal(t, string(data), want, "step %d", die)
			names, err := os.ReadDir(path)
			assert.NilError(t, err)
			if once {
				assert.Equal(t, len(names), 1, "step %d left %v", die, names)
			}
		}
	}
}

func TestSweep(t *testing.T) {
	path := t.TempDir()
	died := recorder{die: 4}
	assert.ErrorIs(t, open(t, path, durable.WithFault(died.step)).Write("a", []byte("new")), errDied)
	names, err := os.ReadDir(path)
	assert.NilError(t, err)
	assert.Equal(t, len(names), 1)
	assert.Assert(t, durable.IsTemporary(names[0].Name()))

	open(t, path, durable.WithSweep(time.Hour, time.Now))
	names, err = os.ReadDir(path)
	assert.NilError(t, err)
	assert.Equal(t, len(names), 1, "a young temporary file may belong to a living writer")

	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	open(t, path, durable.WithSweep(time.Hour, later))
	names, err = os.ReadDir(path)
	assert.NilError(t, err)
	assert.Equal(t, len(names), 0)
}

func TestNamesThatLeadOutside(t *testing.T) {
	dir := open(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "../a", "/a", "a/../b", "a//b", "a/", "./a", "a\x00b", "a\xff"} {
		assert.ErrorIs(t, dir.Write(name, nil), durable.ErrName)
		_, err := dir.Read(name, 1)
		assert.ErrorIs(t, err, durable.ErrName)
		assert.ErrorIs(t, dir.Remove(name), durable.ErrName)
		assert.ErrorIs(t, dir.Mkdir(name), durable.ErrName)
		assert.ErrorIs(t, dir.Append(name, nil), durable.ErrName)
		_, err = dir.TryLock(name)
		assert.ErrorIs(t, err, durable.ErrName)
	}
}

func TestSymlinksLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o600))
	dir := open(t, t.TempDir())
	assert.NilError(t, os.Symlink(outside, filepath.Join(dir.Path(), "link")))
	assert.NilError(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir.Path(), "file")))
	_, err := dir.Read("link/secret", 10)
	assert.ErrorIs(t, err, durable.ErrLink)
	_, err = dir.Read("file", 10)
	assert.ErrorIs(t, err, durable.ErrNotRegular)
	assert.ErrorIs(t, dir.Write("link/new", nil), durable.ErrLink)
	assert.ErrorIs(t, dir.Append("file", nil), durable.ErrLink)
	_, err = dir.TryLock("file")
	assert.ErrorIs(t, err, durable.ErrLink)
	_, err = dir.Folder("link")
	assert.ErrorIs(t, err, durable.ErrLink)
	_, err = dir.List("link")
	assert.ErrorIs(t, err, durable.ErrLink)
	_, err = os.Stat(filepath.Join(outside, "new"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestReadRefuses(t *testing.T) {
	dir := open(t, t.TempDir())
	assert.NilError(t, dir.Write("big", []byte(strings.Repeat("x", 11))))
	_, err := dir.Read("big", 10)
	assert.ErrorIs(t, err, durable.ErrTooLarge)
	assert.NilError(t, syscall.Mkfifo(filepath.Join(dir.Path(), "pipe"), 0o600))
	_, err = dir.Read("pipe", 10)
	assert.ErrorIs(t, err, durable.ErrNotRegular)
	assert.NilError(t, dir.Mkdir("folder"))
	_, err = dir.Read("folder", 10)
	assert.ErrorIs(t, err, durable.ErrNotRegular)
	_, err = dir.Read("none", 10)
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestOpenMakesOnlyWhatItMay(t *testing.T) {
	base := t.TempDir()
	_, err := durable.Open(filepath.Join(base, "a"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = durable.Open(filepath.Join(base, "a", "b"), durable.Make())
	assert.ErrorIs(t, err, fs.ErrNotExist)
	var seen recorder
	open(t, filepath.Join(base, "a", "b"), durable.MakeAll(), durable.WithFault(seen.step))
	assert.DeepEqual(t, seen.steps, []string{"mkdir a", "fsync-dir .", "mkdir b", "fsync-dir ."})
	info, err := os.Stat(filepath.Join(base, "a", "b"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o700))
}

func TestMkdir(t *testing.T) {
	var seen recorder
	dir := open(t, t.TempDir(), durable.WithFault(seen.step))
	assert.NilError(t, dir.MkdirAll("a/b"))
	assert.NilError(t, dir.MkdirAll("a/b"))
	assert.DeepEqual(t, seen.steps, []string{"mkdir a", "fsync-dir .", "mkdir a/b", "fsync-dir a"})
	assert.NilError(t, dir.Write("file", nil))
	assert.ErrorIs(t, dir.Mkdir("file"), fs.ErrExist)
}

// TestMountsAreNotCrossed: what is mounted over a folder is not what was proven.
func TestMountsAreNotCrossed(t *testing.T) {
	top := open(t, "/")
	_, err := top.Folder("proc")
	assert.ErrorIs(t, err, durable.ErrMount)
	_, err = top.Read("proc/version", 1)
	assert.ErrorIs(t, err, durable.ErrMount)
}

// TestFolder: what is done in a folder that is open is done there, with the rules of the folder above it.
func TestFolder(t *testing.T) {
	var seen recorder
	dir := open(t, t.TempDir(), durable.WithFault(seen.step), durable.Volatile())
	_, err := dir.Folder("a/b")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.NilError(t, dir.MkdirAll("a/b"))
	below, err := dir.Folder("a/b")
	assert.NilError(t, err)
	seen.steps = nil
	assert.NilError(t, below.Write("record", []byte("text")))
	assert.DeepEqual(t, seen.steps, []string{"create record", "write record", "rename record"})
	data, err := dir.Read("a/b/record", 10)
	assert.NilError(t, err)
	assert.Equal(t, string(data), "text")
	for _, name := range []string{"..", ".", "/", "a/../b"} {
		_, err = dir.Folder(name)
		assert.ErrorIs(t, err, durable.ErrName)
	}

	assert.NilError(t, errors.Join(dir.Remove("a/b/record"), dir.Remove("a/b")))
	assert.ErrorIs(t, below.Write("record", nil), fs.ErrNotExist, "the folder was removed, and nothing replaces it")
	assert.NilError(t, below.Close())
	assert.ErrorIs(t, below.Write("record", nil), os.ErrClosed)
	assert.NilError(t, dir.Mkdir("a/b"), "the one above is still open")
}

func TestAppendRenameRemoveList(t *testing.T) {
	dir := open(t, t.TempDir())
	assert.NilError(t, dir.Append("log", []byte("one\n")))
	assert.NilError(t, dir.Append("log", []byte("two\n")))
	assert.NilError(t, dir.Mkdir("sub"))
	assert.NilError(t, dir.Rename("log", "sub/log"))
	data, err := dir.Read("sub/log", 100)
	assert.NilError(t, err)
	assert.Equal(t, string(data), "one\ntwo\n")
	entries, err := dir.List("sub")
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 1)
	sub, err := dir.Folder("sub")
	assert.NilError(t, err)
	defer func() { assert.NilError(t, sub.Close()) }()
	for _, want := range []bool{false, true} {
		for range 2 { // asking moves nothing
			empty, err := sub.Empty()
			assert.NilError(t, err)
			assert.Equal(t, empty, want)
		}
		assert.NilError(t, dir.Remove("sub/log"), "gone is success")
	}
	has, err := dir.Exists("sub/log")
	assert.NilError(t, err)
	assert.Assert(t, !has)
}

func TestLock(t *testing.T) {
	path := t.TempDir()
	first, second := open(t, path), open(t, path)
	held, err := first.TryLock("lock")
	assert.NilError(t, err)
	_, err = second.TryLock("lock")
	assert.ErrorIs(t, err, durable.ErrLocked)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = second.Lock(ctx, "lock")
	assert.ErrorIs(t, err, durable.ErrLocked)
	assert.ErrorIs(t, err, context.DeadlineExceeded)

	got := make(chan error, 1)
	go func() {
		lock, err := second.Lock(t.Context(), "lock")
		if err == nil {
			err = lock.Unlock()
		}
		got <- err
	}()
	assert.NilError(t, held.Unlock())
	assert.NilError(t, <-got)
}

// TestLockOfARemovedFile: a lock of a file that lost its name guards nothing, so it is taken again under the name.
func TestLockOfARemovedFile(t *testing.T) {
	path := t.TempDir()
	dir := open(t, path)
	removing := 0
	racing := open(t, path, durable.WithFault(func(op, _ string) error {
		if op == durable.OpFlock {
			removing++
		}
		return nil
	}))
	held, err := racing.TryLock("lock")
	assert.NilError(t, err)
	assert.NilError(t, dir.Remove("lock"))
	other, err := dir.TryLock("lock")
	assert.NilError(t, err, "the name is free, so the lock is")
	_, err = racing.TryLock("lock")
	assert.ErrorIs(t, err, durable.ErrLocked)
	assert.NilError(t, errors.Join(held.Unlock(), other.Unlock()))
	assert.Equal(t, removing, 2)
}
