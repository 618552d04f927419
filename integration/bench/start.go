package main

import (
	"context"
	"time"
)

const (
	startTurns = 6
	startGoal  = 100 * time.Millisecond
)

// measureStart starts the plugin again and again and asks, from the execution of its program on, until it answers.
func (b *bench) measureStart(ctx context.Context) error {
	d, err := b.manyDaemon(ctx)
	if err != nil {
		return err
	}
	var activated, listed, found samples
	for turn := range startTurns {
		if err := d.stop(); err != nil {
			return err
		}
		if err := d.start(ctx); err != nil {
			return err
		}
		took, err := d.activate(ctx)
		if err != nil {
			return err
		}
		activated = append(activated, took)
		// One of them a start: the second would find what the first waited for.
		method, asked, into := "VolumeDriver.List", request{}, &listed
		if turn%2 == 1 {
			method, asked, into = "VolumeDriver.Get", request{Name: volumeName(db, turn)}, &found
		}
		if _, _, err := d.client.call(ctx, method, asked); err != nil {
			return err
		}
		*into = append(*into, time.Since(d.began))
	}
	// The slowest start counts. What the first List waits for are the records themselves.
	b.report.judge("Plugin.Activate answers after", activated.String(), "<= "+short(startGoal), activated.quantile(1) <= startGoal)
	b.report.know("the first Get answers after", found)
	b.report.know("the first List answers after", listed)
	return nil
}
