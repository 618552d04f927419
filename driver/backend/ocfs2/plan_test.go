package ocfs2_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
)

func TestPlan(t *testing.T) {
	b := newBench(t)
	b.settings.Pools = append(b.settings.Pools, settings.Pool{Name: "nested", Path: poolPath + "/nested"})
	var text strings.Builder
	for _, row := range []struct{ device, pool, subdir, options string }{
		{},
		{pool: "app-data"},
		{subdir: "radarr"},
		{subdir: "apps//radarr/"},
		{pool: "none"},
		{options: "bind"},
		{options: "bind,ro,noatime"},
		{options: "username=bob,password=canary"},
		{options: "uid=7"},
		{device: poolPath + "/radarr", options: "bind"},
		{device: poolPath + "/radarr/", pool: "media-apps"},
		{device: poolPath + "/a", subdir: "b"},
		{device: poolPath + "/radarr", pool: "app-data"},
		{device: poolPath},
		{device: poolPath + "/"},
		{device: poolPath + "//nested/x"},
		{device: poolPath + "s/radarr"},
		{device: "/srv/radarr"},
		{device: "radarr"},
		{device: poolPath + "/../../etc"},
		{device: poolPath + "/${APP}"},
		{subdir: ".homelab-storage"},
		{device: poolPath + "/.homelab-storage/catalog"},
		{subdir: "lost+found"},
		{subdir: "/radarr"},
		{subdir: "../x"},
		{subdir: "."},
		{subdir: strings.Repeat("a/", 20)},
		{subdir: strings.Repeat("x", 300)},
		{subdir: "a\tb"},
	} {
		fmt.Fprintf(&text, "# device=%s pool=%s subdir=%q o=%s\n", row.device, row.pool, row.subdir, strings.ReplaceAll(row.options, "canary", "***"))
		request := backend.Request{Name: "radarr_config", Device: row.device, Options: row.options}
		request.Location.Pool, request.Location.Subdir = row.pool, row.subdir
		plan, err := b.backend.Plan(t.Context(), request)
		if err != nil {
			fmt.Fprintf(&text, "refused: %s\n\n", strings.TrimSpace(err.Error()))
			continue
		}
		location, err := json.Marshal(plan.Location)
		assert.NilError(t, err)
		fmt.Fprintf(&text, "%s\n\n", location)
	}
	assert.Assert(t, !strings.Contains(text.String(), "canary"))
	golden.Assert(t, text.String(), "plan.golden")
	assert.Equal(t, b.kernel.Calls(), 0)
}

func TestPlanOfAWholePool(t *testing.T) {
	b := newBench(t)
	request := backend.Request{Name: "backup", Location: backend.Location{Whole: true}}
	plan, err := b.backend.Plan(t.Context(), request)
	assert.NilError(t, err)
	assert.Assert(t, plan.Location.ReadOnly && plan.Location.Subdir == "")
	request.Device = poolPath
	_, err = b.backend.Plan(t.Context(), request)
	assert.NilError(t, err)
	request.Device = poolPath + "/radarr"
	_, err = b.backend.Plan(t.Context(), request)
	assert.ErrorContains(t, err, "shows the whole pool")
}

func TestPlanWithoutAPool(t *testing.T) {
	b := newBench(t)
	b.settings.Pools = nil
	_, err := b.backend.Plan(t.Context(), backend.Request{Name: "db"})
	assert.Assert(t, errors.Is(err, backend.ErrNotConfigured))
	for _, want := range []string{"POOL_DEVICE", "POOL_PATH", "STANDALONE=true", "this node only"} {
		assert.ErrorContains(t, err, want)
	}
}
