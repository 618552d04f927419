//go:build !race

package drivertest

// stride takes every point.
const stride = 1
