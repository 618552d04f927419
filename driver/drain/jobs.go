package drain

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// progressLimit is how long a question for news of a drain waits for some.
const progressLimit = 15 * time.Second

// say adds a sentence to a report.
type say func(format string, arguments ...any)

// jobs are the latest Drain or Undrain of each pool. They outlive their callers and end with the keeper.
type jobs struct {
	mu    sync.Mutex      // guards what follows; held for memory work only
	jobs  map[string]*job // the latest of each pool
	stop  context.CancelFunc
	ctx   context.Context //nolint:containedctx // of the work, which outlives its caller and ends with the keeper
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

func newJobs(ctx context.Context) *jobs {
	made := &jobs{jobs: map[string]*job{}}
	made.ctx, made.stop = context.WithCancel(context.WithoutCancel(ctx))
	return made
}

// close ends the work under way and waits for that.
func (j *jobs) close() {
	j.stop()
	j.group.Wait()
}

// begin starts a job for a pool, or joins the one that is going on, and tells the first news.
func (j *jobs) begin(ctx context.Context, pool string, work func(ctx context.Context, say say) error) (Report, error) {
	j.mu.Lock()
	current := j.jobs[pool]
	if current == nil || current.over() {
		current = &job{news: make(chan struct{})}
		j.jobs[pool] = current
		j.group.Go(func() { current.finish(work(j.ctx, current.say)) })
	}
	j.mu.Unlock()
	return current.after(ctx, 0)
}

func (j *jobs) progress(ctx context.Context, pool string, seen int) (Report, error) {
	current := j.latest(pool)
	if current == nil {
		return Report{Ended: true}, fmt.Errorf("nothing is known of a drain of pool %s: the plugin was restarted; run the command again", pool)
	}
	return current.after(ctx, seen)
}

func (j *jobs) going(pool string) bool {
	current := j.latest(pool)
	return current != nil && !current.over()
}

func (j *jobs) latest(pool string) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.jobs[pool]
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
func (j *job) after(ctx context.Context, seen int) (Report, error) {
	limited, cancel := context.WithTimeout(ctx, progressLimit)
	defer cancel()
	for {
		j.mu.Lock()
		report, err, news := Report{Lines: slices.Clone(j.lines), Ended: j.ended}, j.err, j.news
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
