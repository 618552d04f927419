package smb

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// noID is (uid_t)-1, which the kernel has no user and no group for.
const noID = 1<<32 - 1

// namesLimit bounds getent, which may ask a directory service.
const namesLimit = 5 * time.Second

// accountName is what may be looked up: nothing that getent would take for an option or a number.
var accountName = regexp.MustCompile(`^[\pL_][\pL\pN_.@\\-]{0,63}\$?$`)

// lookup finds the number of a user ("passwd") or group ("group") by its name.
type lookup func(database, name string) (uint32, error)

// onHost asks the host, as mount.cifs does, whose users are not those of the plugin's empty image.
func (b *Backend) onHost(ctx context.Context) lookup {
	return func(database, name string) (uint32, error) {
		output, err := b.kernel.Run(ctx, mounter.Command{Name: "getent", Args: []string{database, name}, Limit: namesLimit})
		if err != nil {
			return 0, fmt.Errorf("could not be looked up on this host: %w; write the number", err)
		}
		if fields := strings.Split(strings.TrimSpace(output.Stdout), ":"); output.Code == 0 && len(fields) > 2 {
			if id, err := strconv.ParseUint(fields[2], 10, 32); err == nil && id != noID {
				return uint32(id), nil
			}
		}
		return 0, fmt.Errorf("is not known to this host (`getent %s %s`); write the number, which is the same on every node", database, name)
	}
}

// id reads a number, or the name of a user or group of this host.
func (d *draft) id(part mountoption.Part, database string) (uint32, error) {
	id, err := strconv.ParseUint(part.Value, 10, 32)
	switch {
	case err == nil && id != noID:
		return uint32(id), nil
	case d.names == nil || !accountName.MatchString(part.Value):
		return 0, problem(part, "must be a number from 0 to 4294967294, or a name that this host knows")
	}
	found, err := d.names(database, part.Value)
	if err != nil {
		return 0, problem(part, "%v", err)
	}
	d.warn("o: option %s=%s is %d on this node, and is kept as that number for all nodes", part.Name, part.Value, found)
	return found, nil
}

func (d *draft) uid(part mountoption.Part) error {
	return d.owner(part, "uid", "passwd", &d.plan.Location.UID)
}

func (d *draft) gid(part mountoption.Part) error {
	return d.owner(part, "gid", "group", &d.plan.Location.GID)
}

func (d *draft) owner(part mountoption.Part, option, database string, field *uint32) error {
	id, err := d.id(part, database)
	if err != nil {
		return err
	}
	if d.request.Explicit[option] && !d.configured && *field != id {
		return fmt.Errorf("options %s=%d and o=%s=%d contradict each other; write one of them", option, *field, option, id)
	}
	if !d.request.Explicit[option] {
		*field = id
	}
	return nil
}

// user and group are options of the kernel that take a number, and of mount.cifs that take a name too.
func (d *draft) user(part mountoption.Part) error { return d.account(part, "passwd") }

func (d *draft) group(part mountoption.Part) error { return d.account(part, "group") }

func (d *draft) account(part mountoption.Part, database string) error {
	id, err := d.id(part, database)
	if err == nil {
		d.options = keep(d.options, fmt.Sprintf("%s=%d", part.Name, id))
	}
	return err
}

func (d *draft) dirMode(part mountoption.Part) error {
	mode, err := octal(part)
	if err != nil {
		return err
	}
	if d.request.Explicit["mode"] && !d.configured && d.plan.Location.Mode != mode {
		return fmt.Errorf("options mode=%04o and o=%s=%04o contradict each other; write one of them", d.plan.Location.Mode, part.Name, mode)
	}
	if !d.request.Explicit["mode"] {
		d.plan.Location.Mode = mode
	}
	return nil
}

func (d *draft) fileMode(part mountoption.Part) (err error) {
	d.plan.Location.FileMode, err = octal(part)
	return err
}

func octal(part mountoption.Part) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(part.Value, 8, 32)
	if err != nil || mode > 0o7777 {
		return 0, problem(part, "must be octal permissions, for example 0770")
	}
	return fs.FileMode(mode), nil
}
