package config

import (
	"fmt"
	"io"
)

// Document writes the reference of all settings and keys as Markdown; docs/settings.md is its output.
func Document(to io.Writer) error {
	d := &document{to: to}
	d.line("# Settings\n")
	d.line("What homelab-storage can be told, and where. Nothing is required but a pool, or `STANDALONE=true`, for database volumes.")
	d.line("This page is generated from the code; a test keeps it so.\n")
	d.line("For each key the node's file wins over the settings, these over the shared file, and that over the default. Shares and")
	d.line("classes are merged by name in the same order. A setting that is empty, or has its default, is not given.\n")
	d.line("Pools are not merged: the one of the settings and those of the node's file all count, in this order, and a name, device or path")
	d.line("that two of them have is an error. To have them all in the file, write that pool into it while the plugin is disabled, as the first")
	d.line("one: it has the volumes' records unless another one says `catalog: true`, and is the pool of volumes that name none.\n")
	d.line("```sh\ndocker plugin disable --force homelab-storage")
	d.line("docker plugin set homelab-storage POOL_NAME= POOL_DEVICE= POOL_PATH= ISCSI_PORTAL= ISCSI_TARGET=")
	d.line("docker plugin enable --timeout 120 homelab-storage\n```\n")
	d.settings()
	d.line("\n## config.yaml\n")
	d.line("The node's own file is `%s` on the host. The part that all nodes share may be `.homelab-storage/config.yaml`", DefaultFile)
	d.line("on the catalog pool; it has the same keys except `pools`. A change is in force within seconds, without a restart. When a")
	d.line("file has problems, all of them are logged with line and column, and the last good configuration stays in force.")
	d.line("An example with every key is [config.example.yaml](config.example.yaml).\n")
	tables(d)
	return d.err
}

// document writes until the first error.
type document struct {
	to  io.Writer
	err error
}

func (d *document) line(format string, arguments ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.to, format+"\n", arguments...)
	}
}

func (d *document) settings() {
	d.line("## Settings of the plugin\n")
	d.line("Environment variables for a plain daemon, in `/etc/default/homelab-storage`. For a managed plugin they are set while it is")
	d.line("disabled; containers that run keep their volumes meanwhile, and no other can start:\n")
	d.line("```sh\ndocker plugin disable --force homelab-storage")
	d.line("docker plugin set homelab-storage LOG_LEVEL=debug")
	d.line("docker plugin enable --timeout 120 homelab-storage\n```\n")
	d.line("The timeout is the engine's for each call, 30 seconds when it is not given: a `LEASE_WAIT` above 25s needs more. After a restart")
	d.line("of the engine it is two minutes by itself.\n")
	d.line("| Setting | Value | Default | What it is for |")
	d.line("|---|---|---|---|")
	for _, one := range Variables() {
		standard := one.Default
		if standard != "" {
			standard = "`" + standard + "`"
		}
		d.line("| `%s` | %s | %s | %s |", one.Name, one.Form, standard, one.Text)
	}
}

func tables(d *document) {
	fieldTable(d, "The file", fileFields())
	fieldTable(d, "`pools:` one element", poolFields())
	fieldTable(d, "`iscsi:` of a pool", iscsiFields())
	fieldTable(d, "`shares:` one element", shareFields())
	fieldTable(d, "`classes:` one name", classFields())
	fieldTable(d, "`defaults:`", defaultsFields())
}

func fieldTable[T any](d *document, title string, fields []field[T]) {
	d.line("### %s\n", title)
	d.line("| Key | Value | Required | What it is for |")
	d.line("|---|---|---|---|")
	for _, one := range fields {
		required := ""
		if one.required {
			required = "yes"
		}
		d.line("| `%s` | %s | %s | %s |", one.name, one.form, required, one.text)
	}
	d.line("")
}
