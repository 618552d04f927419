// Package metrics serves a few numbers for Prometheus, when METRICS_ADDR asks for it: calls by name, result and duration,
// volumes, volumes in use, problems, and what the Go runtime and the kernel say of the process.
//
// Nothing here is secret, but it names no volumes either: the numbers may be read by whoever reaches the address.
package metrics
