package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/homelab-storage/homelab-storage/driver"
)

// Metrics counts calls and reports the driver's health.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec
}

// durations are the histogram's limits, in seconds: from a read of memory to a Mount that waited for another node.
var durations = []float64{0.001, 0.01, 0.1, 1, 5, 25, 60} //nolint:gochecknoglobals // a table

// New makes metrics; health is asked at every scrape and must answer from memory.
func New(version string, health func() driver.Health) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "homelab_storage_call_duration_seconds", Help: "Time from a call to its answer.", Buckets: durations,
		}, []string{"call", "result"}),
	}
	gauge := func(name, help string, value func(driver.Health) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			return float64(value(health()))
		})
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "homelab_storage_build_info", Help: "Always 1; the label is the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.calls, build,
		gauge("homelab_storage_volumes", "Volumes that this node knows.", func(h driver.Health) int { return h.Volumes }),
		gauge("homelab_storage_volumes_in_use", "Volumes that a container of this node uses.", func(h driver.Health) int { return h.Mounted }),
		gauge("homelab_storage_problems", "Problems that `docker homelab status` lists.", problems),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// problems counts the sentences of the driver, and the pools and shares that have one of their own.
func problems(health driver.Health) int {
	count := len(health.Problems)
	for _, report := range slices.Concat(health.Pools, health.Shares) {
		if report["problem"] != nil {
			count++
		}
	}
	return count
}

// Observe counts one answered call. It is a protocol.Observer.
func (m *Metrics) Observe(call string, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.calls.WithLabelValues(call, result).Observe(took.Seconds())
}

// scrapeLimit bounds the reading of one request and the writing of one answer.
const scrapeLimit = 10 * time.Second

// Serve answers on an address until the context ends.
func (m *Metrics) Serve(ctx context.Context, address string) error {
	var config net.ListenConfig
	listening, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("METRICS_ADDR %q: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadTimeout: scrapeLimit, WriteTimeout: scrapeLimit}
	end := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer end()
	if err := server.Serve(listening); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}
