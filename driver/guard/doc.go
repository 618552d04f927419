// Package guard finds database files in a directory, by their content and, where a database is a folder of files, by its
// names (FACTS 5). It is asked in two places:
//
//   - by the driver, before a volume of a class that is shared "until a database" is mounted ([Quick]): with a database inside, one
//     node at a time may use it;
//   - by package shares below this one, for volumes on SMB shares, where databases lock up or lose rows ([Thorough], and [Among] for
//     what containers have open).
//
// A scan is bounded in depth, entries and files, follows no symbolic link and leaves the directory only downwards. It is
// file work that may hang on a dead node's locks, or on a dead server: call it through mounter.Mounter.Do. It is a heuristic for
// safety, not a proof of absence: what lies deeper than its bounds is not seen, which [Result.Complete] says.
package guard
