package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// Failure is an error of a backend for a person: one text that says what is wrong, the value, and what to do. Its causes
// are for the driver's decisions (errors.Is, errors.As) and are not shown.
type Failure struct {
	Text string
	// Away says that the storage may come back by itself: the failure then matches ErrUnavailable.
	Away bool
	Err  error // the cause, or nil
}

// Error is the text.
func (f *Failure) Error() string { return f.Text }

// Unwrap gives the causes.
func (f *Failure) Unwrap() []error {
	var causes []error
	if f.Away {
		causes = append(causes, ErrUnavailable)
	}
	if f.Err != nil {
		causes = append(causes, f.Err)
	}
	return causes
}

// PoolSilent says what it means that the kernel does not answer for a pool, when that is the error.
func PoolSilent(name, path string, err error) (failure *Failure, silent bool) {
	stuck, ok := errors.AsType[*mounter.Error](err)
	if !ok || !errors.Is(err, mounter.ErrStuck) && !errors.Is(err, mounter.ErrBusy) {
		return nil, false
	}
	return &Failure{Away: true, Err: err, Text: fmt.Sprintf(
		"pool %s (%s) has not answered since %s: its disk is away or another node has just died; it goes on by itself when the cluster has recovered, at the latest after the heartbeat's time (see `dmesg`)",
		name, path, stuck.Since.UTC().Format(time.RFC3339))}, true
}

// Runner is a backend that has work of its own in the background: Run returns when the context ends, and unmounts nothing
// then.
type Runner interface{ Run(ctx context.Context) }

// Reporter is a backend that tells of its pools or shares, from memory, for the driver's health.
type Reporter interface{ Report() []map[string]any }

// Tester is a backend that can log in to a volume's storage without using it: with nil when that works, and else with the sentence
// that a Mount would give. It matches ErrLogin when the server refused the login.
type Tester interface {
	Test(ctx context.Context, location Location) error
}

// Disposer is a backend whose volumes have data of their own on every node: a Remove deletes this node's.
type Disposer interface {
	// Kept lists the IDs of the volumes that have data on this node, whether they still exist or not.
	Kept(ctx context.Context) ([]string, error)
}
