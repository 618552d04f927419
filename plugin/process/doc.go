// Package process tells one run of a process from another with the same number, by its start time.
package process
