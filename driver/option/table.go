package option

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// Row is one option of the table.
type Row struct {
	Name   string
	Values string // what a value looks like
	Text   string // what it does, for a person
	Secret bool
	set    func(*Set, string) error
}

// Table returns all options, in the order of the documentation.
func Table() []Row {
	return slices.Concat(placeRows(), ownerRows(), shareRows(), ruleRows())
}

func placeRows() []Row {
	return []Row{
		{Name: "class", Values: "db, library, config, data, backup, media, downloads, cache, temp, or one of the configuration", Text: "what the data is; it decides the storage, who may use it at once, and what a remove does", set: textInto(func(s *Set) *string { return &s.Class })},
		{Name: "type", Values: "ocfs2, cifs, local; none with o=bind; or tmpfs", Text: "the storage, when the class leaves it open or as for driver local", set: oneOf(func(s *Set) *string { return &s.Type }, "ocfs2", "cifs", "smb3", "local", "none", "tmpfs")},
		{Name: "o", Values: "mount options, comma-separated", Text: "as for driver local: bind, the options of mount.cifs, or a tmpfs's size, uid, gid and mode", set: textInto(func(s *Set) *string { return &s.O })},
		{Name: "device", Values: "/path/of/a/pool/directory or //server/share[/directory]", Text: "as for driver local", set: textInto(func(s *Set) *string { return &s.Device })},
		{Name: "pool", Values: "a configured pool's name", Text: "the OCFS2 pool; the only or first one when not given", set: textInto(func(s *Set) *string { return &s.Pool })},
		{Name: "share", Values: "a configured share's name or //server/share", Text: "the SMB share", set: textInto(func(s *Set) *string { return &s.Share })},
		{Name: "subdir", Values: "a relative path", Text: "the directory on the pool or share; the volume's name when not given (on a share: the whole share)", set: textInto(func(s *Set) *string { return &s.Subdir })},
		{Name: "from", Values: "trash/<entry>", Text: "begin with the data of a removed volume (docker homelab trash ls)", set: textInto(func(s *Set) *string { return &s.From })},
	}
}

func ownerRows() []Row {
	return []Row{
		{Name: "uid", Values: "a number", Text: "owner of a new directory, or of all files of a share (1000)", set: valueInto(parseID, func(s *Set, v uint32) { s.UID = v })},
		{Name: "gid", Values: "a number", Text: "group, likewise (1000)", set: valueInto(parseID, func(s *Set, v uint32) { s.GID = v })},
		{Name: "mode", Values: "octal", Text: "permissions, likewise (0770); in a compose file with quotes", set: valueInto(parseMode, func(s *Set, v modeBits) { s.Mode = v })},
		{Name: "size", Values: "for example 512m", Text: "the size of a temp volume (64m)", set: valueInto(parseSize, func(s *Set, v int64) { s.Size = v })},
	}
}

func shareRows() []Row {
	return []Row{
		{Name: "credentials", Values: "a name", Text: "the credentials file that holds user and password of the share", set: textInto(func(s *Set) *string { return &s.Credentials })},
		{Name: "username", Values: "a text", Text: "the share's user; better: credentials", set: textInto(func(s *Set) *string { return &s.Username })},
		{Name: "password", Values: "a text", Text: "the share's password, which the engine shows to everybody; better: credentials", Secret: true, set: setPassword},
		{Name: "domain", Values: "a text", Text: "the user's domain or workgroup", set: textInto(func(s *Set) *string { return &s.Domain })},
		{Name: "guard", Values: "warn or refuse", Text: "what follows a database that is found on a share (warn)", set: oneOf(func(s *Set) *string { return &s.Guard }, "warn", "refuse")},
	}
}

func ruleRows() []Row {
	return []Row{
		{Name: "sqlite", Values: "true or false", Text: "true: the data holds a database; refused on a share, exclusive on a pool", set: valueInto(parseBool, func(s *Set, v bool) { s.SQLite = &v })},
		{Name: "access", Values: "exclusive or shared", Text: "how many nodes may use an OCFS2 volume at once, against its class", set: oneOf(func(s *Set) *string { return &s.Access }, "exclusive", "shared")},
		{Name: "ro", Values: "true or false", Text: "true: no container can write (false)", set: valueInto(parseBool, func(s *Set, v bool) { s.ReadOnly = v })},
		{Name: "help", Values: "1", Text: "fails with this table", set: valueInto(parseBool, func(s *Set, v bool) { s.Help = v })},
	}
}

// Help is the table as text, for `docker volume create -d homelab-storage -o help=1 xx`.
func Help() string {
	var text strings.Builder
	fmt.Fprint(&text, "the options of homelab-storage (no volume was made):\n")
	table := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	for _, row := range Table() {
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\n", row.Name, row.Values, row.Text)
	}
	_ = table.Flush()
	return text.String()
}

func find(name string) (Row, bool) {
	for _, row := range Table() {
		if row.Name == name {
			return row, true
		}
	}
	return Row{}, false
}

// Markdown is the table for docs/options.md, which a test holds against the code.
func Markdown() string {
	var text strings.Builder
	fmt.Fprint(&text, "| option | value | what it does |\n|---|---|---|\n")
	for _, row := range Table() {
		fmt.Fprintf(&text, "| `%s` | %s | %s |\n", row.Name, row.Values, row.Text)
	}
	return text.String()
}
