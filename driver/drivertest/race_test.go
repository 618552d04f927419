//go:build race

package drivertest

// stride takes one point in seven: with the race detector all of them take minutes.
const stride = 7
