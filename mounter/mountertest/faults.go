package mountertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// Op names an operation of the kernel.
type Op string

// The operations, one for each method of [mounter.Mounter] that may fail, and OpUndo: the kernel takes a mount back that
// succeeded after its caller had given up.
const (
	OpTable      Op = "table"
	OpFilesystem Op = "filesystem"
	OpBind       Op = "bind"
	OpMountShare Op = "mount share"
	OpMountTmpfs Op = "mount tmpfs"
	OpUnmount    Op = "unmount"
	OpSync       Op = "sync"
	OpUncache    Op = "uncache"
	OpUsers      Op = "users"
	OpOccupants  Op = "occupants"
	OpOpenFiles  Op = "open files"
	OpRun        Op = "run"
	OpResolve    Op = "resolve"
	OpCluster    Op = "cluster"
	OpDo         Op = "do"
	OpUndo       Op = "undo"

	opAny Op = ""
)

// Action is a call that reached the kernel. Fields that an operation does not have are empty.
type Action struct {
	Op       Op
	Side     mounter.Side
	Source   string // of a bind the directory, of a share //server/share
	Target   string // the place, target, program, host name, pool UUID or key
	ReadOnly bool
	Mask     []string
	Args     []string // of a program, or the parts of a disk
	Share    *mounter.Share
	Tmpfs    *mounter.Tmpfs
}

// fault fails the call that takes left from 1 to 0.
type fault struct {
	op   Op
	left int
	err  error
}

// Fail fails the n-th call of an operation from now on (1 is the next) with an error, before anything is done. Give a
// unix.Errno for what the kernel would say.
func (k *Kernel) Fail(op Op, n int, err error) { k.addFault(op, n, err) }

// FailNth fails the n-th call of any operation from now on.
func (k *Kernel) FailNth(n int, err error) { k.addFault(opAny, n, err) }

func (k *Kernel) addFault(op Op, n int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n < 1 || err == nil {
		k.tb.Errorf("mountertest: a fault needs n >= 1 and an error, not %d and %v", n, err)
		return
	}
	k.faults = append(k.faults, &fault{op: op, left: n, err: err})
}

// OnCall sets a function that sees each call before it is done and may fail it; nil takes it away. It may end the
// goroutine (runtime.Goexit), which its caller sees as a call that is never answered.
func (k *Kernel) OnCall(hook func(Action) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hook = hook
}

// Calls is how many calls reached the kernel.
func (k *Kernel) Calls() int {
	return len(slices.DeleteFunc(k.Actions(), func(a Action) bool { return a.Op == OpUndo }))
}

// Actions are the calls that reached the kernel since it was made; with operations, only theirs.
func (k *Kernel) Actions(ops ...Op) []Action {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.actions), func(a Action) bool {
		return len(ops) > 0 && !slices.Contains(ops, a.Op)
	})
}

// Hold keeps calls in the kernel.
type Hold struct {
	op      Op
	target  string
	open    chan struct{}
	reached chan struct{} // one element for each call that waits
}

// Hold keeps every later call of an operation in the kernel until Release; target "" means any target. When the test ends
// everything is released.
func (k *Kernel) Hold(op Op, target string) *Hold {
	hold := &Hold{op: op, target: target, open: make(chan struct{}), reached: make(chan struct{}, 1024)}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holds = append(k.holds, hold)
	k.tb.Cleanup(func() { k.Release(hold) })
	return hold
}

// Reached waits until a call is being held; each call counts once.
func (h *Hold) Reached(ctx context.Context) error {
	select {
	case <-h.reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Release lets the held calls go on, and all later ones. Releasing twice is allowed.
func (k *Kernel) Release(hold *Hold) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if index := slices.Index(k.holds, hold); index >= 0 {
		k.holds = slices.Delete(k.holds, index, index+1)
		close(hold.open)
	}
}

// call is the way into the kernel: guard, log, faults, holds, then the work under the kernel's lock. An empty key means an
// operation that cannot be in its own way.
func (k *Kernel) call(ctx context.Context, action Action, key string, work func() error, undo func()) error {
	locked := func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		return work()
	}
	return k.callUnlocked(ctx, action, key, locked, undo)
}

// callUnlocked is call for work that does not want the kernel's lock.
func (k *Kernel) callUnlocked(ctx context.Context, action Action, key string, work func() error, undo func()) error {
	if key == "" {
		key = fmt.Sprint("call ", k.keyless.Add(1))
	}
	err := k.guard.Do(ctx, key, func() error {
		if err := k.enter(action); err != nil {
			return err
		}
		return work()
	}, undo)
	return describe(action, err)
}

// enter logs a call, fails it if a fault is due, and holds it.
func (k *Kernel) enter(action Action) error {
	k.mu.Lock()
	k.actions = append(k.actions, action)
	err := k.due(action.Op)
	hook := k.hook
	holds := slices.Clone(k.holds)
	k.mu.Unlock()
	if err == nil && hook != nil {
		err = hook(action)
	}
	for _, hold := range holds {
		if hold.op == action.Op && (hold.target == "" || hold.target == action.Target) {
			hold.reached <- struct{}{}
			<-hold.open
		}
	}
	return err
}

// due counts the faults down.
func (k *Kernel) due(op Op) error {
	var err error
	k.faults = slices.DeleteFunc(k.faults, func(f *fault) bool {
		if f.op != opAny && f.op != op {
			return false
		}
		f.left--
		if f.left == 0 {
			err = f.err
		}
		return f.left == 0
	})
	return err
}

// describe makes every failure a [mounter.Error] that names the operation; the work's own errors of Do and Run stay.
func describe(action Action, err error) error {
	var described *mounter.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &described) && (errors.Is(err, mounter.ErrBusy) || errors.Is(err, mounter.ErrStuck)):
		return &mounter.Error{
			Op: string(action.Op), Source: action.Source, Target: action.Target, Since: described.Since, Done: described.Done,
			Err: described.Err,
		}
	case action.Op == OpDo || errors.As(err, &described):
		return err
	default:
		return &mounter.Error{Op: string(action.Op), Source: action.Source, Target: action.Target, Err: err}
	}
}

// errno is the kernel's number in an error of package os.
func errno(err error) error {
	var number unix.Errno
	switch {
	case errors.As(err, &number):
		return number
	case errors.Is(err, fs.ErrNotExist):
		return unix.ENOENT
	default:
		return err
	}
}

func targetKey(target string) string { return "target " + target }

func placeKey(what string, place mounter.Place) string {
	if place.Side == mounter.Host {
		return what + " host " + place.Path
	}
	return what + " " + place.Path
}
