// Command bench measures the ratios that the project promises, in one run on this machine, and prints each with its goal:
//
//	go run ./integration/bench            # or: make bench
//	go run ./integration/bench --strict   # exit code 1 when a goal is missed
//	go run ./integration/bench --only sqlite,start
//
// What is compared is measured in turns, a sample of each after the other, so that what else the machine does meets all
// sides alike; a result is a ratio of medians with the 95 % interval of a bootstrap over the turns. Absolute times are held
// against what the same run measured of the same disk.
//
// Everything runs on one throwaway host (package engine) with folders on the real disk, real bind mounts, and nothing left
// behind. The "docker run" measurements use its engine; then the engine ends, and the plugin's own measurements talk to
// `homelab-storage serve` on its socket, with nothing in between.
//
// The exit code is 0 when everything could be measured, whether or not the goals were met: a benchmark on a shared machine
// must not break a build. Do not compare absolute numbers of two machines, or of two runs.
package main
