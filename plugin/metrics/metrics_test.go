package metrics

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

func health() driver.Health {
	return driver.Health{
		Volumes: 3, Mounted: 2, Problems: []string{"a"},
		Pools:  []map[string]any{{"pool": "media-apps", "problem": "it is not mounted"}, {"pool": "app-data", "warning": "little is left"}},
		Shares: []map[string]any{{"share": "//nas/films", "problem": "away"}},
	}
}

func TestNumbers(t *testing.T) {
	m := New("1.2", health)
	m.Observe("VolumeDriver.Mount", 2*time.Second, nil)
	m.Observe("VolumeDriver.Mount", time.Millisecond, errors.New("no"))
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := answer.Body.String()
	for _, want := range []string{
		`homelab_storage_build_info{version="1.2"} 1`, "homelab_storage_volumes 3", "homelab_storage_volumes_in_use 2", "homelab_storage_problems 3",
		`homelab_storage_call_duration_seconds_bucket{call="VolumeDriver.Mount",result="ok",le="1"} 0`,
		`homelab_storage_call_duration_seconds_bucket{call="VolumeDriver.Mount",result="ok",le="5"} 1`,
		`homelab_storage_call_duration_seconds_count{call="VolumeDriver.Mount",result="error"} 1`,
		"process_resident_memory_bytes", "go_goroutines",
	} {
		assert.Assert(t, strings.Contains(text, want), "%s is not in\n%s", want, text)
	}
}

func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- New("1", health).Serve(ctx, "127.0.0.1:0") }()
	stop()
	err := <-served
	if err != nil { // the context ended before the socket was made
		assert.ErrorIs(t, err, context.Canceled)
	}
	assert.ErrorContains(t, New("1", health).Serve(t.Context(), "127.0.0.1:99999"), `METRICS_ADDR "127.0.0.1:99999"`)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer taken.Close()
	assert.ErrorContains(t, New("1", health).Serve(t.Context(), taken.Addr().String()), "address already in use")
}
