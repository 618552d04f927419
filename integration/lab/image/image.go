package image

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/integration/lab/box"
	"github.com/homelab-storage/homelab-storage/integration/lab/machine"
)

// files are the build scripts and the guest's own files; all of them are part of the key.
//
//go:embed build guest
var files embed.FS

// suite is the Debian release of the guests: the oldest that the project supports.
const suite = "bookworm"

// packages are what a node needs; mmdebstrap adds their dependencies and no recommendations.
const packages = "systemd-sysv,udev,dbus,kmod,e2fsprogs,iproute2,iptables,iputils-ping,procps,ca-certificates," +
	"open-iscsi,ocfs2-tools,cifs-utils,keyutils,attr,docker.io,sqlite3,busybox-static"

// StandIn is the container image that every node has: busybox and sqlite3, with /config and /data
// owned by 1000:1000 like the images of the applications.
const StandIn = "homelab-storage/standin:1"

// Image is a built image, held against removal until [Image.Close].
type Image struct {
	// Kernel, Initramfs and Disk are paths of what a machine boots; Disk is raw and must only be
	// used as the base of an overlay.
	Kernel, Initramfs, Disk string
	// Agent is the path of the agent's binary.
	Agent string
	// Accelerator is what works on this host; see [machine.Accelerator].
	Accelerator string

	hold *os.File
}

// Close lets go of the image.
func (i *Image) Close() error { return i.hold.Close() }

// Options say where to find and put things.
type Options struct {
	// Module is the folder of the project's go.mod, for building the agent.
	Module string
	// Cache is the cache folder; it is made when missing.
	Cache string
	// Log receives progress.
	Log *logrus.Entry
}

// Ensure returns the image of this tree's state, building it when it is not cached.
func Ensure(ctx context.Context, options Options) (*Image, error) {
	store, err := openCache(ctx, options.Cache)
	if err != nil {
		return nil, err
	}
	defer store.close()
	b := &builder{Options: options, cache: store}
	if err := b.buildAgent(ctx); err != nil {
		return nil, err
	}
	treeKey := key(suite, packages, digest("build/tree.sh"))
	imageKey := key(treeKey, b.agentKey, digest("build/image.sh"), digest("build/settle.sh"), digest("guest"))
	folder, err := store.entry("image-"+imageKey, func(out string) error { return b.image(ctx, out, treeKey) })
	if err != nil {
		return nil, fmt.Errorf("lab image: %w", err)
	}
	made, err := b.open(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("lab image: %w", err)
	}
	return made, store.prune("image-"+imageKey, "tree-"+treeKey, filepath.Base(b.agent))
}

// builder holds what the steps share.
type builder struct {
	Options

	cache           *cache
	agent, agentKey string
}

// open holds a finished image and asks which accelerator can boot it.
func (b *builder) open(ctx context.Context, folder string) (*Image, error) {
	hold, err := share(folder)
	if err != nil {
		return nil, err
	}
	made := &Image{
		Kernel:    filepath.Join(folder, "vmlinux"),
		Initramfs: filepath.Join(folder, "initramfs"),
		Disk:      filepath.Join(folder, "root.ext4"),
		Agent:     filepath.Join(folder, "agent"),
		hold:      hold,
	}
	err = b.inBox(ctx, false, func(in *box.Box) error {
		made.Accelerator, err = machine.Accelerator(ctx, in, b.cache.root, machine.Spec{
			Name: "probe", Kernel: made.Kernel, Initramfs: made.Initramfs, Console: "/run/lab/console",
		})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return made, nil
}

// tree unpacks Debian into out.
func (b *builder) tree(ctx context.Context, out string) error {
	b.Log.WithFields(logrus.Fields{"suite": suite, "packages": packages}).Info("unpacking Debian for the lab")
	return b.inBox(ctx, true, func(in *box.Box) error {
		return b.script(ctx, in, "build/tree.sh", out, suite, packages)
	})
}

// image makes all files of an image in out.
func (b *builder) image(ctx context.Context, out, treeKey string) error {
	tree, err := b.cache.entry("tree-"+treeKey, func(out string) error { return b.tree(ctx, out) })
	if err != nil {
		return err
	}
	guest, err := unpack("guest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(guest) //nolint:errcheck // a temporary folder of our own
	// The image's own name for the agent: the other one may be pruned while this image is in use.
	if err := os.Link(b.agent, filepath.Join(out, "agent")); err != nil {
		return err
	}
	b.Log.Info("making the lab's disk")
	return b.inBox(ctx, false, func(in *box.Box) error {
		if err := b.script(ctx, in, "build/image.sh", tree, out, b.agent, guest); err != nil {
			return err
		}
		if err := b.kernel(ctx, in, out); err != nil {
			return err
		}
		return b.settle(ctx, in, out)
	})
}

// settleTime bounds the boot that settles an image.
const settleTime = 5 * time.Minute

// settle boots the new disk once and prepares Docker on it.
func (b *builder) settle(ctx context.Context, in *box.Box, out string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleTime, errors.New("the image did not settle in 5 minutes"))
	defer cancel()
	b.Log.Info("booting the lab's disk once")
	script, err := files.ReadFile("build/settle.sh")
	if err != nil {
		return err
	}
	m, err := machine.Start(ctx, in, machine.Spec{
		Name: "settle", Memory: 1024, Disk: filepath.Join(out, "root.ext4"), Format: "raw",
		Kernel: filepath.Join(out, "vmlinux"), Initramfs: filepath.Join(out, "initramfs"),
		Append: []string{"lab.node=1", "lab.nodes=1"}, Console: filepath.Join(out, "settle.console"), Log: os.Stderr,
	})
	if err != nil {
		return err
	}
	if _, err := m.Agent.Output(ctx, "set -- "+StandIn+"\n"+string(script)); err != nil {
		return errors.Join(fmt.Errorf("settle: %w", err), m.Kill(context.WithoutCancel(ctx)))
	}
	return m.Wait(ctx)
}
