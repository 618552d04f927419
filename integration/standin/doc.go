// Package standin makes the image that tests and the demo run, from the machine's own files, so that no registry is needed:
// Debian's static busybox, and sqlite3 with the libraries that it loads.
//
// The image also has the folder /seeded, with one file, owner 1000:1000 and mode 0750: a volume mounted there gets the
// engine's copy-up. No other folder of it is meant as a mountpoint, and a volume mounted elsewhere gets none.
package standin
