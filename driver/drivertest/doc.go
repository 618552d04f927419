// Package drivertest has tests of the driver as a whole: with its real backends, catalog, holders and references, on the fake
// kernel of package mountertest. It has no other code.
//
// # Faults
//
// A scenario is what the engine does with a volume, from Create to Remove, or what an operator does with a pool. It is run once to
// count its points: every call of the kernel and of the engine, and every durable step, of a file or a directory, that the driver
// makes; those that another scenario has as well are left out. Then it is run for each point. The point fails, as with a broken or
// full disk: what must hold at once is checked, the call is made again, and near the end the plugin is restarted while the volume is
// still there. A call that was refused is made again in another run as well, only after the background had its time. Or the process dies
// there: from this point on nothing that it does has any effect, and a new driver is started on the same folders. (Its goroutines are not
// ended, they meet an error at every step: so their locks are given back, as the kernel does it for a process that is gone.) The engine
// and the operator then do what they do, and the invariants must hold, see world.check.
//
// Without the race detector every point is taken; with it, which is several times slower, one in eleven.
//
// Time is that of package testing/synctest: whatever the background does after minutes is seen at once.
//
// # Histories
//
// Three nodes do what they like with the same volumes, at once, while calls fail and processes and nodes die. What they
// saw is checked against a model of one sequence of calls (porcupine). A set environment variable HISTORY_TIME, for example 10m, has
// it go on for so long instead of some seconds.
package drivertest
