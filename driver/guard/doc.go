// Package guard finds database files in a directory, by their content and, where a database is a folder of files, by its
// names (FACTS 5). The driver asks it before a volume of a class that is shared "until a database" is mounted: with a
// database inside, one node at a time may use it.
//
// A scan is bounded in depth, entries and bytes, follows no symbolic link and leaves the directory only downwards. It is
// file work that may hang on a dead node's locks: call it through mounter.Mounter.Do. It is a heuristic for safety, not a
// proof of absence: what lies deeper than its bounds is not seen, which [Result.Complete] says.
package guard
