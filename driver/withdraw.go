package driver

import (
	"context"
	"sync"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// withdrawals are the recorded intents of calls that failed, and that could not be taken back, by the volume's name. Everybody was told
// that nothing comes of them: they are taken back as soon as that can be, before anything else is done with the name, and not carried out.
// A restart forgets them: the intent is then like that of a call that was killed.
type withdrawals struct {
	mu   sync.Mutex // guards left
	left map[string]withdrawal
}

// withdrawal is the way back from an intent; it may be gone again and again.
type withdrawal struct {
	shelf *catalog.Catalog
	step  func(context.Context) error
}

func (w *withdrawals) add(name string, back withdrawal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == nil {
		w.left = map[string]withdrawal{}
	}
	w.left[name] = back
}

func (w *withdrawals) remove(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.left, name)
}

func (w *withdrawals) of(name string) (withdrawal, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	back, ok := w.left[name]
	return back, ok
}

// withdraw takes an intent back, or has that done as soon as it can be.
func (d *Driver) withdraw(ctx context.Context, name string, back withdrawal) error {
	err := back.step(ctx)
	if err == nil || raced(err) {
		d.withdrawals.remove(name)
		return err
	}
	d.withdrawals.add(name, back)
	d.unfinished.add(name)
	return err
}

// withdrawLeft takes back what an earlier call for a volume could not. Its caller has the volume's turn.
func (d *Driver) withdrawLeft(ctx context.Context, name string) error {
	back, ok := d.withdrawals.of(name)
	if !ok {
		return nil
	}
	if _, err := d.attachFor(ctx, back.shelf); err != nil {
		return err
	}
	if err := back.shelf.Refresh(ctx); err != nil {
		return writable(err)
	}
	if err := d.withdraw(ctx, name, back); !raced(err) {
		return err
	}
	return nil // it was taken back after all, or another node has recorded it again, and it is that one's
}
