package config

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// sources is everything a configuration is made of, in order of precedence.
type sources struct {
	node        layer
	environment environment
	shared      layer
	hostname    string
	stateDir    string
}

// merge makes the settings and checks what concerns several places.
func merge(from sources) (*settings.Settings, []Problem) {
	env := from.environment
	c := &checker{}
	pools := from.node.pools
	if env.pool.Name != "" {
		pools = append([]pool{env.pool}, pools...)
	}
	c.pools(pools)
	if env.standalone && len(pools) > 0 {
		c.add(place{file: settingWord}, "STANDALONE", "true", "and the pool %q (%s) exclude each other: set STANDALONE=false, or remove the pool", pools[0].Name, pools[0].at)
	}
	shares := c.shares(env.server, from.node.shares, from.shared.shares)
	return &settings.Settings{
		Node: cmp.Or(env.node, from.hostname), Pools: finalPools(pools, env.standalone, from.stateDir), Shares: shares,
		Classes: mergeClasses(from.node.classes, from.shared.classes),
		Server:  env.server, Credentials: env.credentials, Standalone: env.standalone,
		Defaults: from.node.defaults.under(env.defaults).under(from.shared.defaults).over(settings.Initial()),
	}, c.problems
}

// StandaloneName is the name of the one pool of STANDALONE=true.
const StandaloneName = "standalone"

// finalPools marks the catalog pool, or makes the standalone one (DESIGN D14).
func finalPools(pools []pool, standalone bool, stateDir string) []settings.Pool {
	var final []settings.Pool
	marked := false
	for _, one := range pools {
		final = append(final, one.Pool)
		marked = marked || one.Catalog
	}
	switch {
	case len(final) > 0 && !marked:
		final[0].Catalog = true
	case len(final) == 0 && standalone:
		final = []settings.Pool{{Name: StandaloneName, Path: path.Join(stateDir, "local", StandaloneName), Standalone: true}}
	}
	return final
}

func mergeClasses(sources ...[]namedClass) map[string]settings.Class {
	merged := map[string]settings.Class{}
	for _, source := range sources {
		for _, one := range source {
			if _, ok := merged[one.name]; !ok {
				merged[one.name] = one.class
			}
		}
	}
	return merged
}

// checker collects what is wrong between several places.
type checker struct{ problems []Problem }

func (c *checker) add(at place, key, value, format string, arguments ...any) {
	c.problems = append(c.problems, Problem{
		File: at.file, Line: at.line, Column: at.column, Key: join(at.key, key), Value: value, Text: fmt.Sprintf(format, arguments...),
	})
}

// pools compares each pool with those before it.
func (c *checker) pools(pools []pool) {
	for i, one := range pools {
		if one.Name == StandaloneName {
			c.add(one.at, "name", one.Name, "is kept for STANDALONE=true: choose another name")
		}
		for _, earlier := range pools[:i] {
			c.twins(one, earlier)
		}
	}
}

func (c *checker) twins(one, earlier pool) {
	same := func(key, a, b string) {
		if a != "" && a == b {
			c.add(one.at, key, a, "is also the %s of the pool %q (%s): every pool needs its own", key, earlier.Name, earlier.at)
		}
	}
	same("name", one.Name, earlier.Name)
	same("device", one.Device, earlier.Device)
	same("path", one.Path, earlier.Path)
	if inside(one.Path, earlier.Path) || inside(earlier.Path, one.Path) {
		c.add(one.at, "path", one.Path, "and %q of the pool %q (%s) lie inside each other: mount them side by side", earlier.Path, earlier.Name, earlier.at)
	}
	if one.Catalog && earlier.Catalog {
		c.add(one.at, "catalog", "true", "is also said of the pool %q (%s): one pool holds the catalog", earlier.Name, earlier.at)
	}
}

func inside(a, b string) bool { return a != "" && b != "" && strings.HasPrefix(a, b+"/") }

// shares merges shares by name, completes their servers, and reports names that one file gives twice.
func (c *checker) shares(server string, sources ...[]share) []settings.Share {
	var merged []settings.Share
	seen := map[string]place{}
	for _, source := range sources {
		for _, one := range source {
			earlier, known := seen[one.Name]
			if known && earlier.file == one.at.file {
				c.add(one.at, "name", one.Name, "is also the name of another share (%s): every share needs its own", earlier)
			}
			if known || one.Name == "" {
				continue
			}
			seen[one.Name] = one.at
			merged = append(merged, c.completed(one, server))
		}
	}
	return merged
}

// completed puts SMB_SERVER before a device that names no server.
func (c *checker) completed(one share, server string) settings.Share {
	full := one.Share
	switch {
	case full.Device == "" || strings.HasPrefix(full.Device, "//"):
	case server == "":
		c.add(one.at, "device", full.Device, "names no server: write //server/%s, or set SMB_SERVER", full.Device)
	default:
		full.Device = "//" + server + "/" + full.Device
	}
	return full
}

// String is the place as file:line:column.
func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column)
}
