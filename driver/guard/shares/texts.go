package shares

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/guard"
)

// onShare is why a database must not be there (FACTS 4).
const onShare = "on an SMB share databases lock up or lose rows"

func foundText(volume string, found guard.Finding) string {
	return fmt.Sprintf("%s in this volume is a database (%s): %s. If an application writes to it, %s", shown(found.Path), found.Kind, onShare, migration(volume, found))
}

func openText(volume string, known state) string {
	return fmt.Sprintf("%s (process %d) has the database %s (%s) open in this volume: %s. Stop it and %s",
		known.by.Name, known.by.PID, shown(known.open.Path), known.open.Kind, onShare, migration(volume, known.open))
}

func refusedText(record catalog.Record, found guard.Finding) string {
	why := "guard=refuse is set"
	if record.Guard != "refuse" {
		why = "with o=nobrl nobody sees another one's locks"
	}
	return fmt.Sprintf("%s in it is a database (%s), and %s: %s. To go on, take the file away, or %s",
		shown(found.Path), found.Kind, why, onShare, migrate(record.Name, record.Name+"_from", unguarded(record), found))
}

// unguarded makes a volume of the same directory that does not refuse databases: to copy one away.
func unguarded(record catalog.Record) string {
	location := record.Location
	command := "docker volume create -d homelab-storage -o class=media -o share=" + quoted(strings.TrimSuffix(location.Device+"/"+location.Subdir, "/"))
	if location.Credentials != "" {
		command += " -o credentials=" + location.Credentials
	}
	options := slices.DeleteFunc(slices.Clone(location.MountOptions), func(option string) bool { return option == "nobrl" })
	if len(options) > 0 {
		command += " -o o=" + quoted(strings.Join(options, ","))
	}
	return command + " " + record.Name + "_from && "
}

// migration are the commands that move an application's data to the cluster filesystem: the folder of the database, or, when it is
// among other things at the top of the volume, the database with what belongs to it.
func migration(volume string, found guard.Finding) string {
	return migrate(volume, volume, "", found)
}

// migrate copies from another volume of the same directory, which a command makes first.
func migrate(volume, from, first string, found guard.Finding) string {
	folder := path.Dir(found.Path)
	what, command := "the folder "+shown(folder), "cp -a "+quoted("/from/"+folder+"/.")+" /to/"
	if folder == "." {
		what, command = "it", copyFile(found)
	}
	return fmt.Sprintf("move %s to the cluster filesystem: stop the containers (`docker ps --filter volume=%[2]s`), then "+
		"`%[4]sdocker volume create -d homelab-storage -o class=db %[2]s_db && docker run --rm -v %[5]s:/from:ro -v %[2]s_db:/to busybox %[3]s`, "+
		"and mount %[2]s_db in its place", what, volume, command, first, from)
}

// copyFile copies one database, with its log and journal, or all of a database that is a folder. A plain name needs no double quotes,
// which `docker volume inspect` shows with backslashes; any other one is handed to the inner shell as it is.
func copyFile(found guard.Finding) string {
	switch found.Kind {
	case guard.PostgreSQL, guard.InnoDB, guard.WiredTiger, guard.LevelDB:
		return "cp -a /from/. /to/"
	case guard.SQLite, guard.SQLiteWAL, guard.SQLiteJournal, guard.Bolt, guard.LMDB, guard.DuckDB:
	}
	base := found.Path
	for _, suffix := range []string{"-wal", "-journal"} {
		base = strings.TrimSuffix(base, suffix)
	}
	if plain.MatchString(base) {
		return "sh -c 'cp -a /from/" + base + "* /to/'"
	}
	return `sh -c 'cp -a "$0"* /to/' ` + quoted("/from/"+base)
}

// plain are paths that a shell takes as they are.
var plain = regexp.MustCompile(`^[\pL\pN_./:@%+=,-]+$`)

// shown is a path for a person: names on a share may hold anything.
func shown(name string) string {
	if plain.MatchString(name) {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// quoted is a path for a shell.
func quoted(name string) string {
	if plain.MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
