//go:build race

package drivertest

// stride takes one point in eleven: with the race detector all of them take minutes.
const stride = 11
