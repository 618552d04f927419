// Package config reads the operator's configuration and keeps it current: the settings of `docker plugin set`, the node's
// config.yaml, and the part that all nodes share on the catalog pool.
//
// There is one schema (the field tables in schema*.go and [Variables]); the reader, its errors and the documentation all
// come from it. A file is read as a whole and reports every problem at once, each with file, line, column, key, value and
// what to do. Nothing unknown is ignored.
//
// Precedence, for each key: the node's file, then the settings, then the shared file, then the built-in default. Shares and
// classes are merged by name in the same order. Pools come from the node only: the shared file lies on one of them.
//
// A [Watcher] publishes the result as [settings.Settings]. It starts from what was last good, on disk, so that neither a
// broken file nor a restart takes away what volumes need: the last good configuration stays in force and [Watcher.Errors]
// says what is wrong with the new one. Changes are found by looking (once a second): directory notification crosses neither
// mount namespaces nor nodes. The shared file is read on a disposable thread, so that a hung pool delays nothing.
//
// Not for secrets: a password in a file is refused, with the command that stores it.
package config
