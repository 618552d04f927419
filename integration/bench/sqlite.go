package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// Databases are made anew that often, and filled in as many turns, a batch of transactions each. The batches are small,
	// some milliseconds, so that a slow moment of the machine meets both sides.
	databases      = 8
	batches        = 120
	transactions   = 5
	rowsEach       = 5
	sqliteGoal     = 0.99
	sqliteSettings = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, text TEXT);"
)

// measureSQLite fills each database in turns through the mounted volume and through the pool's own path to the same file: two
// files would differ by where the disk has them, which is more than what is measured.
func (b *bench) measureSQLite(ctx context.Context) (err error) {
	d, err := b.fewDaemon(ctx)
	if err != nil {
		return err
	}
	volume := volumeName(db, fewVolumes-1)
	use := request{Name: volume, ID: "sqlite"}
	mounted, _, err := d.client.call(ctx, "VolumeDriver.Mount", use)
	if err != nil {
		return err
	}
	bare := filepath.Join(d.pool(), volume)
	var inVolume, inPool samples
	for number := range databases {
		file := fmt.Sprintf("%d.db", number)
		if err := b.fill(ctx, filepath.Join(mounted.Mountpoint, file), filepath.Join(bare, file), &inVolume, &inPool); err != nil {
			return err
		}
	}
	if _, _, err := d.client.call(ctx, "VolumeDriver.Unmount", use); err != nil {
		return err
	}
	found, err := ratioOf(inPool, inVolume) // of the times, so the volume's rows are above
	if err != nil {
		return err
	}
	rate := func(s samples) string {
		return fmt.Sprintf("%.0f rows/s", float64(transactions*rowsEach)/s.median().Seconds())
	}
	b.report.add("through the bare pool", rate(inPool), "", information)
	b.report.add("through the volume", rate(inVolume), "", information)
	b.report.judge("rows/s in the volume / bare", found.String(), fmt.Sprintf(">= %.2f", sqliteGoal), found.value >= sqliteGoal)
	return nil
}

// fill opens one database by both of its paths and fills it batch by batch, now by the one first, now by the other.
func (b *bench) fill(ctx context.Context, volume, bare string, inVolume, inPool *samples) error {
	first, err := b.openSQLite(ctx, volume)
	if err != nil {
		return err
	}
	defer first.close()
	second, err := b.openSQLite(ctx, bare)
	if err != nil {
		return err
	}
	defer second.close()
	sides := []struct {
		shell *sqlite
		into  *samples
	}{{first, inVolume}, {second, inPool}}
	for turn := range batches {
		for at := range sides {
			side := sides[(at+turn)%2]
			took, err := side.shell.batch()
			if err != nil {
				return err
			}
			*side.into = append(*side.into, took)
		}
	}
	return nil
}

// sqlite is a sqlite3 in the host that does one batch after the other.
type sqlite struct {
	command *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Reader
}

func (b *bench) openSQLite(ctx context.Context, file string) (*sqlite, error) {
	s := &sqlite{command: b.engine.Command(ctx, "sqlite3", "-batch", "-bail", file)}
	s.command.Stderr = os.Stderr
	output, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.output = bufio.NewReader(output)
	if s.input, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	_, err = s.do(sqliteSettings)
	return s, err
}

// batch inserts rows in several transactions, each of which waits for the disk.
func (s *sqlite) batch() (time.Duration, error) {
	row := "INSERT INTO t(text) VALUES('" + strings.Repeat("x", 200) + "');"
	return s.do(strings.Repeat("BEGIN;"+strings.Repeat(row, rowsEach)+"COMMIT;\n", transactions))
}

// do runs statements and says how long that took.
func (s *sqlite) do(statements string) (time.Duration, error) {
	const done = "done\n"
	began := time.Now()
	if _, err := io.WriteString(s.input, statements+"\n.print done\n"); err != nil {
		return 0, fmt.Errorf("sqlite3: %w", err)
	}
	for {
		line, err := s.output.ReadString('\n')
		switch {
		case err != nil:
			return 0, fmt.Errorf("sqlite3 ended: %w", err)
		case line == done:
			return time.Since(began), nil
		}
	}
}

// close ends the shell; its databases end with the host.
func (s *sqlite) close() {
	_ = s.input.Close()
	_ = s.command.Wait()
}
