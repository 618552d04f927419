// Package integration tests the product as its users meet it: a managed plugin on a real engine (engine_*_test.go, build tag
// integration), and the same on real storage in virtual machines (package lab and the tests tagged lab).
//
// The engine tests build the plugin with scripts/build-plugin and run it on a throwaway host (package engine), so they touch
// nothing of the machine they run on:
//
//	go test -tags integration ./integration/...
//
// They need root and the packages of `scripts/deps engine`. Package need says so for each test, and turns a skip into a failure
// when CI=true.
//
// A number that a test measured is logged as a line that begins with "measured: "; scripts/test shows these lines of tests that pass
// as well (command measured).
package integration
