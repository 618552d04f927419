// Package plan decides what kind of volume is meant: it applies the decision matrix (DESIGN D5, package class) to parsed options
// (package option) and the configuration.
//
//	chosen, err := plan.Choose(name, set, now)
//	planned, err := backends[chosen.Class.Kind].Plan(ctx, chosen.Request)
//
// It is pure: it reads no storage and no record, and knows no backend. What only one kind of storage can judge - a pool, a share's
// name, mount options, a directory - is judged by that backend's Plan. What is wrong with one option alone was refused when the
// options were parsed.
//
// # What it refuses
//
//   - a database on a share, whether the class or sqlite=true says that it is one (FACTS 4);
//   - a class on another storage than its own;
//   - an option that the class's storage has no use for: to ignore it would be a silent surprise.
package plan
