package main

import (
	"context"
	"fmt"
	"time"
)

const (
	getSamples    = 500
	listSamples   = 20
	createSamples = 20
)

// measureReads is for information: the engine asks Get of every volume at its start, and List for `docker volume ls`.
func (b *bench) measureReads(ctx context.Context) error {
	d, err := b.manyDaemon(ctx)
	if err != nil {
		return err
	}
	gets, err := d.repeat(ctx, getSamples, "VolumeDriver.Get", func(i int) request {
		return request{Name: volumeName(db, i*manyVolumes/2/getSamples)}
	})
	if err != nil {
		return err
	}
	lists, err := d.repeat(ctx, listSamples, "VolumeDriver.List", func(int) request { return request{} })
	if err != nil {
		return err
	}
	fresh := func(i int) request { return request{Name: fmt.Sprintf("fresh-%d", i)} }
	creates, err := d.repeat(ctx, createSamples, "VolumeDriver.Create", func(i int) request {
		asked := fresh(i)
		asked.Opts = map[string]string{"class": db}
		return asked
	})
	if err != nil {
		return err
	}
	removes, err := d.repeat(ctx, createSamples, "VolumeDriver.Remove", fresh)
	if err != nil {
		return err
	}
	b.report.know("Get", gets)
	b.report.know("List", lists)
	b.report.know("Create, db", creates)
	b.report.know("Remove, db", removes)
	return nil
}

// repeat makes a call several times.
func (d *daemon) repeat(ctx context.Context, times int, method string, ask func(int) request) (samples, error) {
	var all samples
	for i := range times {
		var took time.Duration
		_, took, err := d.client.call(ctx, method, ask(i))
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	return all, nil
}
