package holder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Directory is what is held: a directory of a pool, whatever the volumes' names.
type Directory struct {
	Pool   backend.Pool
	Subdir string // clean, relative, "/"-separated
}

// Kernel is what the keeper asks of the kernel. mounter.Mounter is one.
type Kernel interface {
	Do(ctx context.Context, key string, work func() error) error
	Cluster(ctx context.Context, poolUUID string) (mounter.Cluster, error)
	BootID() string
}

// Options say how a keeper works.
type Options struct {
	// State is the node's folder for releases that are not finished; it is made when missing.
	State string
	// Node is this node's name, Instance this plugin's: stable across restarts, different for two plugins of one node.
	// An empty Instance is made once and kept in State.
	Node, Instance string
	Kernel         Kernel
	Log            *logrus.Entry
	// Wait says how long a Join waits for another node (LEASE_WAIT); it is asked at every Join.
	Wait func() time.Duration
	// VolumeName gives the name of a volume by its ID, for texts; nil means that there is none but the ID.
	VolumeName func(id string) string
	// Poll is the pause between two looks at the record; 0 means 500 ms.
	Poll time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Shared and Local are options of the pool's and the node's folders, for tests that inject faults.
	Shared, Local []durable.Option
}

// defaultPoll is how often a waiting Join looks at the record: a look costs an open and a read, and is 2 % of LEASE_WAIT.
const defaultPoll = 500 * time.Millisecond

// Keeper joins and releases holds for one node. Its methods may be called at once from several goroutines.
type Keeper struct {
	options Options
	state   *durable.Dir

	// mu guards the fields below, for memory work only; pending files are written under it because they are on the node.
	mu      sync.Mutex
	pending map[string]pending // by file name
}

// New opens a keeper and reads the releases that are not finished.
func New(ctx context.Context, options Options) (*Keeper, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	if options.Poll == 0 {
		options.Poll = defaultPoll
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.VolumeName == nil {
		options.VolumeName = func(id string) string { return id }
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Volatile: a power cut ends the boot, and with it every hold of this node, whether its release is on record or not.
	given := append([]durable.Option{durable.MakeAll(), durable.Volatile(), durable.WithSweep(time.Hour, options.Now)}, options.Local...)
	state, err := durable.Open(options.State, given...)
	if err != nil {
		return nil, fmt.Errorf("open the state of the holds: %w", err)
	}
	keeper := &Keeper{options: options, state: state, pending: map[string]pending{}}
	if err := errors.Join(keeper.identify(), keeper.loadPending()); err != nil {
		return nil, errors.Join(err, state.Close())
	}
	return keeper, nil
}

func (o *Options) validate() error {
	if o.Kernel == nil || o.Log == nil || o.Wait == nil {
		return errors.New("a keeper of holds needs a Kernel, a Log and a Wait")
	}
	if o.Node == "" || strings.ContainsAny(o.Node, "/\x00") || o.Node == "." || o.Node == ".." {
		return fmt.Errorf("the node's name %q cannot name a file; set NODE_NAME", o.Node)
	}
	return nil
}

// Close gives the state folder back. Nothing is lost without it.
func (k *Keeper) Close() error { return k.state.Close() }

// Own says whether a holder is this plugin in this boot.
func (k *Keeper) Own(holder Holder) bool {
	return holder.Name == k.options.Node && holder.Boot == k.options.Kernel.BootID() && holder.Instance == k.options.Instance
}

// do runs file work on a directory's folder, on a disposable thread: one key each, so that a directory whose recovery
// hangs holds up no other.
func (k *Keeper) do(ctx context.Context, directory Directory, work func() error) error {
	key := "holder " + directory.Pool.UUID + " " + backend.DirectoryKey(directory.Subdir)
	return k.options.Kernel.Do(ctx, key, work)
}

// In a directory's folder.
const (
	recordFile = "record.json"
	lockFile   = "lock"
)

// folder is a directory's folder below the private one.
func folder(subdir string) string { return backend.HoldersFolder + "/" + backend.DirectoryKey(subdir) }

// folders are open for one piece of work on a directory.
type folders struct {
	pool *durable.Dir // the pool's private folder
	own  *durable.Dir // the directory's, with its record
}

// inPool opens a pool's private folder for one piece of work. It is not kept open: that would keep the pool mounted.
func (k *Keeper) inPool(pool backend.Pool, work func(*durable.Dir) error) error {
	dir, err := durable.Open(pool.Private, k.options.Shared...)
	if err != nil {
		return fmt.Errorf("the private folder of pool %s cannot be opened: %w; is the pool mounted?", pool.Name, err)
	}
	return errors.Join(work(dir), dir.Close())
}

// makeTries bounds how often a folder that somebody forgets at the same time is made again.
const makeTries = 3

// locked runs work under the lock of a directory. Whoever waited so long that its caller has given up changes nothing.
func (k *Keeper) locked(ctx context.Context, directory Directory, work func(folders) error) error {
	return k.inPool(directory.Pool, func(pool *durable.Dir) error {
		own, lock, err := lockFolder(ctx, pool, directory.Subdir)
		if err != nil {
			return err
		}
		if err = ctx.Err(); err == nil {
			err = work(folders{pool: pool, own: own})
		}
		return errors.Join(err, lock.Unlock(), own.Close())
	})
}

// lockFolder opens and locks a directory's folder, which it makes when it is missing.
func lockFolder(ctx context.Context, pool *durable.Dir, subdir string) (own *durable.Dir, lock *durable.Lock, err error) {
	for try := 0; ; try++ {
		if own, err = pool.Folder(folder(subdir)); err == nil {
			if lock, err = own.Lock(ctx, lockFile); err == nil {
				return own, lock, nil
			}
			err = errors.Join(err, own.Close())
		}
		if !errors.Is(err, fs.ErrNotExist) || try == makeTries {
			return nil, nil, err
		}
		if err = pool.MkdirAll(folder(subdir)); err != nil {
			return nil, nil, err
		}
	}
}

// read reads the record of a directory. One that nobody ever held is empty.
func (f folders) read(directory Directory) (Record, error) {
	data, err := f.own.Read(recordFile, MaxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{Version: Version, Subdir: directory.Subdir}, nil
	}
	var record Record
	if err == nil {
		record, err = parseRecord(directory.Subdir, data)
	}
	if err != nil && (errors.Is(err, durable.ErrTooLarge) || errors.Is(err, durable.ErrNotRegular)) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if errors.Is(err, ErrDamaged) && directory.Pool.Standalone {
		// One node can hold it, this one, and what a power cut left of the record is of a boot that ended.
		return Record{Version: Version, Subdir: directory.Subdir}, nil
	}
	if errors.Is(err, ErrDamaged) {
		return Record{}, fmt.Errorf("directory %q of pool %s is given to no node: %w. Stop every container that uses it, on all nodes, "+
			"then `docker homelab holder break --force` with this volume's name and any node's sets the record aside",
			directory.Subdir, directory.Pool.Name, err)
	}
	return record, err
}

// write changes a record; one without holders is removed: an absent record says the same, and the next hold then makes a new
// name, while renaming over a file makes ext4 write the data out at once (300 us here; fs/ext4/namei.c, auto_da_alloc). Its
// folder is not fsynced: what a power cut of this node may bring back is an older record, in
// which this node, that is dead or has another boot id then, is no obstacle (DESIGN D8); and no other node can have read the new
// one before, because OCFS2 writes a file out before it gives it to another node. The text of a record that holds, or held,
// for one node alone is fsynced all the same, so that it is never found torn; others cost no fsync.
func (f folders) write(record *Record) error {
	alone := record.Mode == Exclusive
	text, err := record.encode()
	switch {
	case err != nil:
		return err
	case len(record.Holders) == 0:
		return f.own.Unlink(recordFile)
	case alone || record.Mode == Exclusive:
		return f.own.WriteSync(recordFile, text, durable.SyncFile)
	}
	return f.own.WriteSync(recordFile, text, durable.SyncNone)
}
