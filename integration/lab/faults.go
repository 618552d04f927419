package lab

import (
	"context"
	"fmt"

	"github.com/homelab-storage/homelab-storage/integration/lab/machine"
)

// KillPlugin kills the plugin's process; the engine starts another one by itself.
func (n *Node) KillPlugin(ctx context.Context) error {
	_, err := n.Output(ctx, "kill -KILL $(pidof "+pluginName+")")
	return err
}

// KillEngine kills the engine and returns when it is gone. Containers and the plugin live on until the next engine ends them. systemd
// starts one; without systemd that is for [Node.StartDocker].
func (n *Node) KillEngine(ctx context.Context) error {
	_, err := n.Output(ctx, "engine=$(pidof dockerd) && kill -KILL $engine && while kill -0 $engine 2>/dev/null; do sleep 0.1; done")
	return err
}

// FillDisk takes all the room of the disk that a folder of the node is on, to the last block; [Node.FreeDisk] undoes it.
func (n *Node) FillDisk(ctx context.Context, folder string) error {
	_, err := n.Output(ctx, fmt.Sprintf(`set -e
mkdir -p %[1]s && cd %[1]s
number=0
for size in 268435456 67108864 16777216 1048576 65536 4096; do
	while fallocate -l $size $number 2>/dev/null; do number=$((number + 1)); done; done
while echo >$number; do number=$((number + 1)); done 2>/dev/null`, machine.Quote(folder+fillers)))
	return err
}

// FreeDisk undoes [Node.FillDisk].
func (n *Node) FreeDisk(ctx context.Context, folder string) error {
	_, err := n.Output(ctx, "rm -r "+machine.Quote(folder+fillers))
	return err
}

// fillers is the folder, below the one that is given, of the files that fill a disk.
const fillers = "/fillers"

// TurnReadOnly has the kernel turn a mounted file system read-only, as it does after an error, also under files that are open for writing.
// That is an emergency of every disk (sysrq-u): the node's own one is made writable again. Mounting the other ones anew is for the test.
func (n *Node) TurnReadOnly(ctx context.Context, path string) error {
	_, err := n.Output(ctx, fmt.Sprintf(`echo u >/proc/sysrq-trigger
until findmnt --noheadings --output FS-OPTIONS %s | grep --quiet '^ro'; do sleep 0.1; done
mount -o remount,rw /`, machine.Quote(path)))
	return err
}
