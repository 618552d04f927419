package config

import (
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// Upper limits. A Mount must answer before the engine's client gives up after two minutes (moby volume/drivers/proxy.go,
// longTimeout); the others only catch slips of the pen.
const (
	maxLeaseWait = 100 * time.Second
	maxDuration  = 3650 * 24 * time.Hour
)

// fileFields are the keys of config.yaml.
func fileFields() []field[layer] {
	return []field[layer]{
		{name: "pools", form: "a list", text: "the OCFS2 pools that this node mounts; only in the node's own file", optional: true, read: sequence(readPool)},
		{name: "shares", form: "a list", text: "SMB shares with a name, for share=<name>", optional: true, read: sequence(readShare)},
		{name: "classes", form: "a mapping", text: "your own classes: a name, and what it is like", optional: true, read: readClasses},
		{name: "defaults", form: "a mapping", text: "what holds when a volume does not say it", optional: true, read: mapping(defaultsFields(), func(l *layer, d defaults) { l.defaults = d })},
	}
}

func readPool(r *reader, node *yaml.Node, key string, into *layer) {
	one := pool{at: r.place(node, key)}
	fill(r, node, key, poolFields(), &one)
	into.pools = append(into.pools, one)
}

func readShare(r *reader, node *yaml.Node, key string, into *layer) {
	one := share{at: r.place(node, key)}
	fill(r, node, key, shareFields(), &one.Share)
	into.shares = append(into.shares, one)
}

func (r *reader) place(node *yaml.Node, key string) place {
	return place{r.file, node.Line, node.Column, key}
}

func poolFields() []field[pool] {
	return []field[pool]{
		{name: "name", form: "a name", text: "the pool's name, for pool=<name>", required: true, read: scalar(parseName, func(p *pool, v string) { p.Name = v })},
		{name: "device", form: "UUID=..., LABEL=... or /dev/disk/by-.../...", text: "the file system, by what stays the same on every node", required: true, read: scalar(parseDevice, func(p *pool, v string) { p.Device = v })},
		{name: "path", form: "an absolute path", text: "where it is mounted on the host", required: true, read: scalar(parsePath, func(p *pool, v string) { p.Path = v })},
		{name: "mount_options", form: "a list of options", text: "options of mount.ocfs2 beyond its defaults", optional: true, read: sequence(readPoolOption)},
		{name: "iscsi", form: "a mapping", text: "the iSCSI target of the disk; without it the disk must be there", optional: true, read: mapping(iscsiFields(), func(p *pool, v settings.ISCSI) { p.ISCSI = &v })},
		{name: "catalog", form: "true or false", text: "this pool holds the cluster's volume records (default: the first pool)", read: scalar(parseBool, func(p *pool, v bool) { p.Catalog = v })},
	}
}

func readPoolOption(r *reader, node *yaml.Node, key string, into *pool) {
	scalar(parseMountOption, func(p *pool, v string) { p.MountOptions = append(p.MountOptions, v) })(r, node, key, into)
}

func iscsiFields() []field[settings.ISCSI] {
	return []field[settings.ISCSI]{
		{name: "portal", form: "host or host:port", text: "where the target is served; the port is 3260 when not given", required: true, read: scalar(parsePortal, func(i *settings.ISCSI, v string) { i.Portal = v })},
		{name: "target", form: "iqn....", text: "the target's name", required: true, read: scalar(parseTarget, func(i *settings.ISCSI, v string) { i.Target = v })},
	}
}

func shareFields() []field[settings.Share] {
	return []field[settings.Share]{
		{name: "name", form: "a name", text: "the share's name, for share=<name>", required: true, read: scalar(parseName, func(s *settings.Share, v string) { s.Name = v })},
		{name: "device", form: "//server/share[/directory]", text: "the share; the server may be left out when SMB_SERVER is set", required: true, read: scalar(parseShare, func(s *settings.Share, v string) { s.Device = v })},
		{name: "credentials", form: "a name", text: "the credentials file with user and password (default: SMB_CREDENTIALS)", read: scalar(parseName, func(s *settings.Share, v string) { s.Credentials = v })},
		{name: "options", form: "a list of options", text: "options of mount.cifs for every volume of the share", optional: true, read: sequence(readShareOption)},
	}
}
