package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// mountRounds is how often the same volumes are mounted anew; in between their holds are given back, which takes 5 s
	// after a brief use.
	mountRounds = 5
	// scaleGoal bounds the Mount with 10,000 volumes by that with 10.
	scaleGoal  = 1.5
	sharedGoal = time.Millisecond
	// exclusiveGoal is in fsyncs of the disk.
	exclusiveGoal = 3
)

// mounting is what was measured of one kind of volume.
type mounting struct {
	daemon            *daemon
	class             string
	spread            int // the distance of the volumes' numbers
	fresh, warm, gone samples
}

// measureMounts mounts different volumes of both plugins in turns: anew, and again while their hold is still kept.
func (b *bench) measureMounts(ctx context.Context) error {
	few, err := b.fewDaemon(ctx)
	if err != nil {
		return err
	}
	many, err := b.manyDaemon(ctx)
	if err != nil {
		return err
	}
	disk, err := newDisk(filepath.Join(many.folder, "fsync"))
	if err != nil {
		return err
	}
	small := &mounting{daemon: few, class: db, spread: 1}
	large := &mounting{daemon: many, class: db, spread: manyVolumes / 2 / fewVolumes}
	shared := &mounting{daemon: many, class: config, spread: manyVolumes / 2 / fewVolumes}
	all := []*mounting{small, large, shared}
	for round := range mountRounds {
		if err := mountRound(ctx, round, all, disk); err != nil {
			return err
		}
	}
	return b.reportMounts(small, large, shared, disk)
}

// mountRound mounts ten volumes of each kind, and waits until they are as before.
func mountRound(ctx context.Context, round int, all []*mounting, disk *disk) error {
	for number := range fewVolumes {
		for at := range all {
			one := all[(at+round)%len(all)] // nobody is always the first
			if err := one.sample(ctx, number*one.spread); err != nil {
				return err
			}
			if err := disk.sync(); err != nil {
				return err
			}
		}
	}
	for _, one := range all {
		if err := one.daemon.released(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sample mounts and unmounts one volume twice.
func (m *mounting) sample(ctx context.Context, number int) error {
	name := volumeName(m.class, number)
	for at, into := range []*samples{&m.fresh, &m.warm} {
		use := request{Name: name, ID: fmt.Sprintf("use-%d-%d", len(m.gone), at)}
		_, took, err := m.daemon.client.call(ctx, "VolumeDriver.Mount", use)
		if err != nil {
			return err
		}
		*into = append(*into, took)
		_, took, err = m.daemon.client.call(ctx, "VolumeDriver.Unmount", use)
		if err != nil {
			return err
		}
		m.gone = append(m.gone, took)
	}
	return nil
}

// released waits until every hold was given back, as the files of the pending releases tell.
func (d *daemon) released(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		left, err := os.ReadDir(filepath.Join(d.state(), "releases", "pending"))
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%d holds are not given back: %w", len(left), ctx.Err())
		}
	}
}

func (b *bench) reportMounts(small, large, shared *mounting, disk *disk) error {
	b.report.know("fsync of a small file on this disk", disk.times)
	scale, err := ratioOf(large.fresh, small.fresh)
	if err != nil {
		return err
	}
	b.report.know("Mount, db, 10 volumes", small.fresh)
	b.report.know("Mount, db, 10,000 volumes", large.fresh)
	b.report.judge("Mount at 10,000 / at 10 volumes", scale.String(), fmt.Sprintf("<= %.1f", scaleGoal), scale.value <= scaleGoal)
	syncs := float64(large.fresh.median()) / float64(disk.times.median())
	b.report.judge("Mount, db, in fsyncs of this disk", fmt.Sprintf("%.2f", syncs), fmt.Sprintf("< %d", exclusiveGoal), syncs < exclusiveGoal)
	b.report.judge("Mount, config, 10,000 volumes", shared.fresh.String(), "< "+short(sharedGoal), shared.fresh.median() < sharedGoal)
	b.report.know("Mount, db, its hold still kept", large.warm)
	b.report.know("Mount, config, its hold still kept", shared.warm)
	b.report.know("Unmount, db, 10,000 volumes", large.gone)
	return nil
}
