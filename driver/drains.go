package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// drained is a pool that is out of use on this node, as the state folder keeps it: it stays so when the plugin is restarted.
type drained struct {
	Version int       `json:"version"`
	Pool    string    `json:"pool"`
	Since   time.Time `json:"since"`
	// Lifted says that it is mounted again, and only containers are still to be started.
	Lifted  bool      `json:"lifted,omitempty"`
	Stopped []stopped `json:"stopped,omitempty"`
}

// stopped is a container that a drain has stopped, or was about to.
type stopped struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Service string `json:"service,omitempty"`
}

const (
	drainVersion = 1
	drainSuffix  = ".json"
	maxDrained   = 1 << 20
)

// drains are the pools that are out of use, and the work that makes or ends that.
type drains struct {
	state *durable.Dir

	mu    sync.Mutex      // guards what follows; held for memory work only
	jobs  map[string]*job // the latest of each pool
	stop  context.CancelFunc
	ctx   context.Context //nolint:containedctx // of the work, which outlives its caller and ends with the driver
	group sync.WaitGroup
}

// job is one Drain or Undrain.
type job struct {
	mu    sync.Mutex
	lines []string
	ended bool
	err   error
	news  chan struct{} // closed at the next line, or at the end
}

func openDrains(ctx context.Context, folder string, given ...durable.Option) (*drains, error) {
	state, err := durable.Open(folder, append([]durable.Option{durable.MakeAll()}, given...)...)
	if err != nil {
		return nil, fmt.Errorf("opening the state of drained pools: %w", err)
	}
	made := &drains{state: state, jobs: map[string]*job{}}
	made.ctx, made.stop = context.WithCancel(context.WithoutCancel(ctx))
	return made, nil
}

// close ends the work under way; it is taken up again by the next Drain or Undrain.
func (r *drains) close() error {
	r.stop()
	r.group.Wait()
	if err := r.state.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// begin starts a job for a pool, or joins the one that is going on, and tells the first news.
func (r *drains) begin(ctx context.Context, pool string, work func(ctx context.Context, say func(string, ...any)) error) (DrainReport, error) {
	r.mu.Lock()
	current := r.jobs[pool]
	if current == nil || current.over() {
		current = &job{news: make(chan struct{})}
		r.jobs[pool] = current
		r.group.Go(func() { current.finish(work(r.ctx, current.say)) })
	}
	r.mu.Unlock()
	return current.after(ctx, 0)
}

func (r *drains) progress(ctx context.Context, pool string, seen int) (DrainReport, error) {
	r.mu.Lock()
	current := r.jobs[pool]
	r.mu.Unlock()
	if current == nil {
		return DrainReport{Ended: true}, fmt.Errorf("nothing is known of a drain of pool %s: the plugin was restarted; run the command again", pool)
	}
	return current.after(ctx, seen)
}

func (r *drains) going(pool string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	current := r.jobs[pool]
	return current != nil && !current.over()
}

func (j *job) over() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ended
}

func (j *job) say(format string, arguments ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, arguments...))
	close(j.news)
	j.news = make(chan struct{})
}

func (j *job) finish(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended, j.err = true, err
	close(j.news)
}

// after waits until there are more lines than were seen, or the end, or the time is over.
func (j *job) after(ctx context.Context, seen int) (DrainReport, error) {
	limited, cancel := context.WithTimeout(ctx, progressLimit)
	defer cancel()
	for {
		j.mu.Lock()
		report, err, news := DrainReport{Lines: slices.Clone(j.lines), Ended: j.ended}, j.err, j.news
		j.mu.Unlock()
		if report.Ended || len(report.Lines) > seen {
			return report, err
		}
		select {
		case <-news:
		case <-limited.Done():
			return report, nil
		}
	}
}

func (r *drains) file(pool string) string { return pool + drainSuffix }

// open reads the state of a pool that is drained, or makes it.
func (r *drains) open(pool string, now time.Time) (drained, error) {
	known, ok, err := r.read(pool)
	if err != nil || ok && !known.Lifted {
		return known, err
	}
	known.Version, known.Pool, known.Since, known.Lifted = drainVersion, pool, now, false
	return known, r.write(known)
}

func (r *drains) read(pool string) (known drained, ok bool, err error) {
	text, err := r.state.Read(r.file(pool), maxDrained)
	if errors.Is(err, fs.ErrNotExist) {
		return drained{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err == nil && (known.Version != drainVersion || known.Pool != pool) {
		err = fmt.Errorf("it is of pool %q, version %d", known.Pool, known.Version)
	}
	if err != nil {
		return drained{}, false, fmt.Errorf("the state of the drained pool %s (%s) cannot be read; look at it, and remove it to forget the drain: %w",
			pool, r.file(pool), err)
	}
	return known, true, nil
}

func (r *drains) write(known drained) error {
	text, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	return r.state.Write(r.file(known.Pool), text)
}

func (r *drains) forget(pool string) error { return r.state.Remove(r.file(pool)) }

// list is every drained pool that can be read, with the errors of the others.
func (r *drains) list() ([]drained, error) {
	entries, err := r.state.List(".")
	if err != nil {
		return nil, err
	}
	var found []drained
	var problems []error
	for _, entry := range entries {
		pool, ok := strings.CutSuffix(entry.Name(), drainSuffix)
		if !ok || durable.IsTemporary(entry.Name()) {
			continue
		}
		known, ok, err := r.read(pool)
		if ok {
			found = append(found, known)
		}
		problems = append(problems, err)
	}
	return found, errors.Join(problems...)
}
